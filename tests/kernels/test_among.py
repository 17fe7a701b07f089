"""Kernels about few columns: the sums are those of all columns, as far as these go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.among import AmongKernel, Chosen
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.running import sums_of
from sparkgd.losses import HingeLoss, LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.questions.certificate import DualKernel
from sparkgd.questions.gradient import GradientKernel
from tests.kernels.test_wide import WIDTH, wide_block
from tests.support.blocks import as_csr, csr, random_block

KINDS = ("dense", "csr", "wide")


def block_as(kind: str, loss: object) -> Block:
    """Rows of `WIDTH` columns."""
    if kind == "wide":
        return wide_block(loss=loss)[0]
    block = random_block(loss, columns=WIDTH)  # type: ignore[arg-type]
    return block if kind == "dense" else as_csr(block)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [[3], [0, 5, 11, 39], list(range(0, WIDTH, 2)), list(range(WIDTH))], ids=len)
@pytest.mark.parametrize("loss", [LogisticLoss(), SquaredLoss(), MultinomialLoss(3)], ids=lambda loss: loss.name)
def test_sums_are_those_of_all_columns(loss, kind, columns):
    block, layout = block_as(kind, loss), CoefLayout(WIDTH, loss.num_outputs)
    known = layout.restricted(np.array(columns))[1]
    points = known.spread(np.random.default_rng(5).normal(size=(4, len(known.numbers))))
    held_out = np.array([-1, 0, 1, 1], dtype=np.int16)
    kernel = GradientKernel(loss, layout, points, held_out)
    inside = replace(kernel, layout=replace(layout, num_features=len(columns)), points=known.of(points))
    among = AmongKernel(inside, layout, np.array(columns))
    whole, few = kernel(block).dense(), among(block)
    assert among.answer_size.by_coef == few.gradient.size
    assert few.gradient.shape == (4, len(known.numbers))
    np.testing.assert_allclose(few.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(few.held_out_value, whole.held_out_value, rtol=1e-12)
    np.testing.assert_array_equal(few.weight, whole.weight)
    np.testing.assert_allclose(known.of(few.dense().gradient), known.of(whole.gradient), rtol=1e-12, atol=1e-12)
    others = np.setdiff1d(np.arange(layout.size), known.numbers)
    assert not few.dense().gradient[:, others].any()


def test_dual_sums_are_those_of_all_columns():
    loss, columns = HingeLoss(), np.array([1, 8, 20])
    block, layout = block_as("csr", loss), CoefLayout(WIDTH)
    known = layout.restricted(columns)[1]
    points = known.spread(np.random.default_rng(5).normal(size=(2, len(known.numbers))))
    kernel = DualKernel(loss, loss.smoothed(0.1), layout, points)
    inside = replace(kernel, layout=CoefLayout(3), points=known.of(points))
    whole, few = kernel(block), AmongKernel(inside, layout, columns)(block)
    np.testing.assert_allclose(few.dual_slope, known.of(whole.dual_slope), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(few.dual_height, whole.dual_height, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_columns_are_features_like_any_other(kind):
    columns, random = np.array([2, 3, 17, 30]), np.random.default_rng(3)
    block = block_as(kind, LogisticLoss())
    chosen, dense = Chosen(block.features, columns), block.features.dense()[:, columns]
    weights, multipliers = random.normal(size=(4, 3)), random.normal(size=(block.rows, 2))
    assert (chosen.rows, chosen.num_features, chosen.columns) == (block.rows, 4, None)
    assert chosen.narrow() is chosen
    assert chosen.chunk_rows() == block.features.chunk_rows()
    assert chosen.stored == block.features.stored
    np.testing.assert_array_equal(chosen.dense(), dense)
    np.testing.assert_array_equal(chosen.squared().dense(), dense**2)
    np.testing.assert_array_equal(chosen.slice(5, 9).dense(), dense[5:9])
    np.testing.assert_array_equal(chosen.take(np.array([7, 1])).dense(), dense[[7, 1]])
    np.testing.assert_array_equal(chosen.among(np.array([1, 3])).dense(), dense[:, [1, 3]])
    np.testing.assert_allclose(chosen.dot(weights), dense @ weights)
    np.testing.assert_allclose(chosen.transpose_dot(multipliers), multipliers.T @ dense)
    for mine, other in zip(chosen.column_sums(block.weight), csr(dense).column_sums(block.weight), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12)
    np.testing.assert_allclose(chosen.column_support(block.weight), csr(dense).column_support(block.weight))
    assert [len(each) for each in chosen.not_finite()] == [0, 0]


def test_an_error_still_names_the_loss():
    class Broken(LogisticLoss):
        name = "my own"

        def value_and_derivative(self, label, raw_prediction):
            raise ZeroDivisionError("no")

    block, layout = block_as("dense", LogisticLoss()), CoefLayout(WIDTH)
    inside = GradientKernel(Broken(), CoefLayout(1), np.zeros((1, 2)))
    with pytest.raises(Exception, match="the my own loss failed: ZeroDivisionError: no"):
        sums_of([AmongKernel(inside, layout, np.array([1]))], block)


def test_rows_of_a_mini_batch_are_taken_among_them():
    class Every:
        def rows(self, first_row, count):
            return np.arange(0, count, 2)

        def expected_weight(self, weight_sum):
            return 0.5 * weight_sum

    block, layout, columns = block_as("csr", LogisticLoss()), CoefLayout(WIDTH), np.array([4, 9])
    known = layout.restricted(columns)[1]
    points = known.spread(np.random.default_rng(0).normal(size=(1, 3)))
    kernel = GradientKernel(LogisticLoss(), layout, points, sample=Every())
    taken = replace(kernel, sample=None)(block.take(np.arange(0, block.rows, 2)))
    inside = replace(kernel, layout=CoefLayout(2), points=known.of(points))
    few = AmongKernel(inside, layout, columns)(block)
    np.testing.assert_allclose(few.gradient, known.of(taken.gradient), rtol=1e-12, atol=1e-12)
