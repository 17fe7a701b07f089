"""Laws of the kernels: they equal a plain loop over the rows, whatever the storage, chunks and number of points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block, Sums
from sparkgd.kernels import block as block_module
from sparkgd.kernels import features as features_module
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import LogisticLoss, Loss, SquaredLoss
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import HessianQuestion
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.gram import GramKernel
from sparkgd.questions.hessian import HessianKernel
from sparkgd.questions.product import ProductKernel
from sparkgd.training.rounds import Asked, run_round
from tests.support.blocks import as_csr, as_float32, csr, random_block
from tests.support.losses import LOSSES, loss_id
from tests.support.reference import plain_sums

each_loss = pytest.mark.parametrize("loss", LOSSES, ids=loss_id)
with_or_without_intercept = pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
each_storage = pytest.mark.parametrize("storage", [lambda b: b, as_csr], ids=["dense", "csr"])


@pytest.fixture(params=[1 << 20, 8 * 5 * 16], ids=["one chunk", "many chunks"], autouse=True)
def chunk_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every law with the block in one chunk and in several, the last one shorter."""
    monkeypatch.setattr(features_module, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(features_module, "SPARSE_CHUNK", request.param // 16)


def layout_of(loss: Loss, block: Block, fit_intercept: bool) -> CoefLayout:
    return CoefLayout(block.features.num_features, loss.num_outputs, fit_intercept)


def points_for(layout: CoefLayout, count: int = 3) -> np.ndarray:
    return np.random.default_rng(7).normal(scale=0.7, size=(count, layout.size))


@each_loss
@with_or_without_intercept
@each_storage
@pytest.mark.parametrize("offset", [False, True], ids=["plain", "offset"])
def test_gradient_equals_the_plain_loop(loss, fit_intercept, storage, offset):
    block = random_block(loss, offset=offset)
    layout = layout_of(loss, block, fit_intercept)
    points, held_out = points_for(layout), np.array([-1, 0, 2], dtype=np.int16)
    sums = GradientKernel(loss, layout, points, held_out)(storage(block))
    for i, point in enumerate(points):
        plain = plain_sums(loss, layout, point, block, int(held_out[i]))
        assert sums.value[i] == pytest.approx(plain.value, rel=1e-12)
        assert sums.weight[i] == pytest.approx(plain.weight, rel=1e-14)
        np.testing.assert_allclose(sums.gradient[i], plain.gradient, rtol=1e-11, atol=1e-11)
        assert sums.held_out_value[i] == pytest.approx(plain.held_out_value, rel=1e-12)
        assert sums.held_out_weight[i] == pytest.approx(plain.held_out_weight, rel=1e-14)


@each_loss
@with_or_without_intercept
@each_storage
@pytest.mark.parametrize("held_out", [-1, 1])
def test_hessian_equals_the_plain_loop(loss, fit_intercept, storage, held_out):
    block = random_block(loss, offset=True)
    layout = layout_of(loss, block, fit_intercept)
    point = points_for(layout, 1)[0]
    sums = HessianKernel(loss, layout, point, held_out)(storage(block))
    plain = plain_sums(loss, layout, point, block, held_out)
    np.testing.assert_allclose(sums.hessian, plain.hessian, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(sums.gradient[0], plain.gradient, rtol=1e-11, atol=1e-11)
    assert sums.value[0] == pytest.approx(plain.value, rel=1e-12)
    assert sums.weight[0] == pytest.approx(plain.weight, rel=1e-14)


@each_loss
@with_or_without_intercept
@each_storage
@pytest.mark.parametrize("held_out", [-1, 1])
def test_product_equals_hessian_times_directions(loss, fit_intercept, storage, held_out):
    block = random_block(loss, offset=True)
    layout = layout_of(loss, block, fit_intercept)
    point, directions = points_for(layout, 1)[0], points_for(layout, 4)
    hessian = plain_sums(loss, layout, point, block, held_out).hessian
    sums = ProductKernel(loss, layout, point, directions, held_out)(storage(block))
    np.testing.assert_allclose(sums.product, directions @ hessian, rtol=1e-11, atol=1e-10)
    plain = plain_sums(loss, layout, point, block, held_out)
    np.testing.assert_allclose(sums.gradient[0], plain.gradient, rtol=1e-11, atol=1e-11)
    assert sums.value[0] == pytest.approx(plain.value, rel=1e-12)


@each_loss
@with_or_without_intercept
@each_storage
@pytest.mark.parametrize("columns", [[], [1], [0, 2, 4]])
def test_hessian_of_some_columns_is_their_part_of_the_whole(loss, fit_intercept, storage, columns):
    block = random_block(loss, offset=True)
    layout = layout_of(loss, block, fit_intercept)
    point, chosen = points_for(layout, 1)[0], np.array(columns, dtype=np.intp)
    sums = HessianKernel(loss, layout, point, 1, chosen)(storage(block))
    whole = HessianKernel(loss, layout, point, 1)(block)
    entries = layout.restricted(chosen)[1].numbers
    np.testing.assert_allclose(sums.hessian, whole.hessian[np.ix_(entries, entries)], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(sums.gradient, whole.gradient, rtol=1e-11, atol=1e-11)


@each_loss
@with_or_without_intercept
def test_hessian_is_the_finite_difference_of_the_gradient(loss, fit_intercept):
    block = random_block(loss)
    layout = layout_of(loss, block, fit_intercept)
    point, step = points_for(layout, 1)[0], 1e-5
    shifted = np.vstack([point + step * np.eye(layout.size), point - step * np.eye(layout.size)])
    gradients = GradientKernel(loss, layout, shifted)(block).gradient
    difference = (gradients[: layout.size] - gradients[layout.size :]) / (2 * step)
    np.testing.assert_allclose(HessianKernel(loss, layout, point)(block).hessian, difference, rtol=1e-6, atol=1e-6)


@each_loss
def test_gradient_is_the_finite_difference_of_the_value(loss):
    block = random_block(loss, offset=True)
    layout = layout_of(loss, block, True)
    point, step = points_for(layout, 1)[0], 1e-6
    shifted = np.vstack([point + step * np.eye(layout.size), point - step * np.eye(layout.size)])
    values = GradientKernel(loss, layout, shifted)(block).value
    difference = (values[: layout.size] - values[layout.size :]) / (2 * step)
    gradient = GradientKernel(loss, layout, point[None, :])(block).gradient[0]
    np.testing.assert_allclose(gradient, difference, rtol=1e-6, atol=1e-6)


@each_storage
@pytest.mark.parametrize("held_out", [-1, 2])
def test_gram_equals_the_plain_loop(storage, held_out):
    block = random_block(SquaredLoss())
    features = block.features.dense()
    center, scale = features.mean(axis=0), np.array([1.0, 2.0, 0.5, 3.0, 0.0])
    expected = np.zeros((5, 5))
    for x, weight, fold in zip(features, block.weight, block.fold, strict=True):
        scaled = (x - center) * scale
        expected += 0.0 if fold == held_out else weight * np.outer(scaled, scaled)
    gram = GramKernel(center, scale, held_out)(storage(block)).hessian
    np.testing.assert_allclose(gram, expected, rtol=1e-12, atol=1e-12)


@each_loss
@each_storage
def test_m_points_are_m_single_points(loss, storage):
    block = storage(random_block(loss))
    layout = layout_of(loss, block, True)
    points = points_for(layout, 4)
    held_out = np.array([0, -1, 2, 1], dtype=np.int16)
    together = GradientKernel(loss, layout, points, held_out)(block)
    for i in range(4):
        alone = GradientKernel(loss, layout, points[i : i + 1], held_out[i : i + 1])(block)
        for name in ("value", "gradient", "weight", "held_out_value", "held_out_weight"):
            np.testing.assert_allclose(getattr(together, name)[i], getattr(alone, name)[0], rtol=1e-12, atol=1e-12)


@each_loss
@each_storage
def test_a_weight_of_two_is_the_row_twice_and_a_weight_of_zero_is_no_row(loss, storage):
    block = random_block(loss, offset=True)
    block = replace(block, weight=np.random.default_rng(3).integers(0, 4, block.rows).astype(np.float64))
    repeated = block.take(np.repeat(np.arange(block.rows), block.weight.astype(int)))
    repeated = replace(repeated, weight=np.ones(repeated.rows))
    layout = layout_of(loss, block, True)
    points, held_out = points_for(layout), np.array([1, -1, 0], dtype=np.int16)
    kernels = [
        GradientKernel(loss, layout, points, held_out),
        HessianKernel(loss, layout, points[0], 1),
        ProductKernel(loss, layout, points[0], points, 1),
        GramKernel(np.zeros(5), np.ones(5), 1),
    ]
    for kernel in kernels:
        assert_sums_close(kernel(storage(block)), kernel(storage(repeated)))


def assert_sums_close(left: Sums, right: Sums) -> None:
    for name in Sums.__dataclass_fields__:
        mine, other = getattr(left, name), getattr(right, name)
        assert (mine is None) == (other is None), name
        if mine is not None:
            np.testing.assert_allclose(mine, other, rtol=1e-11, atol=1e-11, err_msg=name)


@each_loss
def test_float32_storage_sums_in_float64(loss):
    block = random_block(loss)
    stored = as_float32(block)
    widened = replace(stored, features=DenseFeatures(stored.features.values.astype(np.float64)))
    sparse = replace(stored, features=csr(stored.features.values, "float32"))
    assert sparse.features.values.dtype == np.float32
    layout = layout_of(loss, block, True)
    kernel = GradientKernel(loss, layout, points_for(layout))
    expected = kernel(widened)
    assert kernel(stored).gradient.dtype == np.float64
    np.testing.assert_array_equal(kernel(stored).gradient, expected.gradient)
    np.testing.assert_allclose(kernel(sparse).gradient, expected.gradient, rtol=1e-12, atol=1e-12)


@each_loss
@each_storage
def test_a_block_without_rows_gives_zeros(loss, storage):
    block = random_block(loss).take(np.zeros(0, dtype=np.intp))
    layout = layout_of(loss, block, True)
    point = points_for(layout, 1)[0]
    sums = HessianKernel(loss, layout, point)(storage(block))
    assert sums.value[0] == sums.weight[0] == 0.0
    assert not sums.gradient.any()
    assert not sums.hessian.any()


@each_storage
def test_a_sample_is_the_taken_rows(storage):
    class EveryThird:
        def rows(self, first_row: int, count: int) -> np.ndarray:
            numbers = np.arange(first_row, first_row + count)
            return np.flatnonzero(numbers % 3 == 0)

    block = replace(random_block(LogisticLoss()), first_row=100)
    layout = layout_of(LogisticLoss(), block, True)
    points = points_for(layout)
    sampled = GradientKernel(LogisticLoss(), layout, points, sample=EveryThird())(storage(block))
    taken = GradientKernel(LogisticLoss(), layout, points)(block.take(np.arange(2, block.rows, 3)))
    assert_sums_close(sampled, taken)


def test_chunks_number_their_rows_through():
    block = replace(random_block(LogisticLoss(), rows=100), first_row=7)
    for chunks in (block.chunks(), as_csr(block).chunks(), as_csr(block).dense_chunks()):
        firsts, rows = zip(*[(chunk.first_row, chunk.rows) for chunk in chunks], strict=True)
        assert firsts[0] == 7
        assert sum(rows) == 100
        assert list(firsts[1:]) == list(7 + np.cumsum(rows[:-1]))


@each_storage
def test_many_points_take_few_rows_at_a_time_and_have_the_same_sums(storage, monkeypatch):
    monkeypatch.setattr(block_module, "CHUNK_RESULTS", 100)
    block = storage(random_block(LogisticLoss(), rows=90))
    for results, most in ((1, block.features.chunk_rows()), (10, 10), (1000, 1)):
        rows = [chunk.rows for chunk in block.chunks(results)]
        assert sum(rows) == 90
        assert max(rows) == min(most, 90)
    layout = layout_of(LogisticLoss(), block, True)
    points = np.tile(points_for(layout), (4, 1))
    together = GradientKernel(LogisticLoss(), layout, points)(block)
    monkeypatch.undo()
    assert_sums_close(together, GradientKernel(LogisticLoss(), layout, points)(block))


def test_second_order_kernels_never_make_a_large_chunk_dense():
    rows, columns = 20_000, 400
    indices = np.arange(rows, dtype=np.int32) % columns
    features = CsrFeatures(np.ones(rows), indices, np.arange(rows + 1, dtype=np.int64), columns)
    block = Block(features, np.zeros(rows), np.ones(rows))
    largest = max(8 * chunk.rows * columns for chunk in block.dense_chunks())
    assert largest <= max(features_module.CHUNK_BYTES, 8 * 16 * columns)
    assert sum(chunk.rows for chunk in block.dense_chunks()) == rows


@pytest.mark.parametrize("storage", [DenseFeatures, CsrFeatures])
@pytest.mark.parametrize("columns", [None, np.array([0, 2])])
def test_models_that_leave_out_folds_at_one_point_share_the_hessians_of_folds(storage, columns):
    block = stored(
        replace(random_block(LogisticLoss(), 60, 4, seed=5), fold=(np.arange(60) % 4).astype(np.uint8)), storage
    )
    layout = CoefLayout(4)
    problems = [problem_of(LogisticLoss(), layout, held_out) for held_out in (2, 0, 2, 1)]
    question = HessianQuestion(np.linspace(-1.0, 1.0, 5), columns)
    rows = CountingKernels([block, block])
    together = run_round([Asked(problem, question, rows) for problem in problems])
    assert rows.kernels == [1]
    for problem, answer in zip(problems, together, strict=True):
        alone = run_round([Asked(problem, question, LocalRows([block, block]))])[0]
        np.testing.assert_allclose(answer.reply.hessian, alone.reply.hessian, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(answer.reply.gradients, alone.reply.gradients, rtol=1e-11)
        np.testing.assert_allclose(answer.reply.values, alone.reply.values, rtol=1e-12)
        np.testing.assert_allclose(answer.held_out_losses, alone.held_out_losses, rtol=1e-12)
    others = [problem_of(LogisticLoss(), layout, -1), problem_of(LogisticLoss(), layout, 0)]
    run_round([Asked(problem, question, rows) for problem in others])
    assert rows.kernels == [1, 2], "a model of all rows asks for itself"


class CountingKernels:
    """Blocks in this process that remember how many kernels each round had."""

    def __init__(self, blocks):
        self._rows, self.kernels = LocalRows(blocks), []

    def round(self, kernels, description=""):
        self.kernels.append(len(kernels))
        return self._rows.round(kernels, description)


def stored(block: Block, storage: type) -> Block:
    return as_csr(block) if storage is CsrFeatures else block


def problem_of(loss: Loss, layout: CoefLayout, held_out: int) -> Problem:
    zeros, ones = np.zeros(layout.num_features), np.full(layout.num_features, 0.3)
    return Problem(loss, layout, ElasticNet(zeros, ones), Diagonal(layout, 0.2 * ones, 2.0 * ones), held_out)
