"""Condensed rows: never above the objective, equal where no row changes pieces, whatever the partitions and storage."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest

from sparkgd.kernels import Block, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import PiecewiseLinearLoss
from sparkgd.questions.condense import CondenseKernel, condensed
from sparkgd.questions.epochs import Frame
from sparkgd.questions.gradient import GradientKernel
from tests.losses.cases import KINKED
from tests.questions.test_rows import as_wide
from tests.support.blocks import as_csr, as_float32, random_block, split

ROWS, COLUMNS, KEPT = 300, 5, 25
STOPS = [40, 40, 170]
HELD_OUT = 1

every_loss = pytest.mark.parametrize("loss", list(KINKED.values()), ids=list(KINKED))


def points_of(count: int, fit_intercept: bool) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(count, COLUMNS + fit_intercept)) * 0.7


def summed(loss: PiecewiseLinearLoss, block: Block, points: np.ndarray, kept: int = KEPT, stored=replace) -> Sums:
    layout = CoefLayout(COLUMNS, 1, points.shape[1] > COLUMNS)
    frame = Frame(np.full(COLUMNS, 0.3), np.linspace(0.5, 2.0, COLUMNS), 1.0)
    kernel = CondenseKernel(loss, layout, points, frame, kept, block.rows, HELD_OUT)
    return reduce(add, [kernel(stored(part)) for part in split(block, STOPS)]).dense()


def losses(loss: PiecewiseLinearLoss, block: Block, points: np.ndarray) -> np.ndarray:
    """Sums of losses of the rows that are not held out."""
    layout = CoefLayout(COLUMNS, 1, points.shape[1] > COLUMNS)
    sums = GradientKernel(loss, layout, points, np.full(len(points), HELD_OUT, dtype=np.int16))(block)
    assert sums.value is not None
    return sums.value


@every_loss
@pytest.mark.parametrize("stored", [replace, as_csr, as_wide, as_float32])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_condensed_losses_are_never_above_and_equal_at_the_first_and_last_point(loss, stored, fit_intercept, count):
    block = stored(random_block(loss, ROWS, COLUMNS, offset=True))
    points = points_of(count, fit_intercept)
    few = condensed(summed(loss, block, points, stored=stored))
    elsewhere = np.concatenate([points, points_of(60, fit_intercept) * 4.0, points[[-1]] + 1e-3])
    true, found = losses(loss, block, elsewhere), losses(loss, few, elsewhere)
    assert np.all(found <= true * (1.0 + 1e-12) + 1e-9)
    np.testing.assert_allclose(found[[0, count - 1]], true[[0, count - 1]], rtol=1e-9)
    assert found.sum() < 0.999 * true.sum(), "far away some rows do change pieces"


@every_loss
def test_near_the_point_nothing_is_lost(loss):
    block, point = random_block(loss, ROWS, COLUMNS, offset=True), points_of(1, True)
    few = condensed(summed(loss, block, point))
    near = point + np.random.default_rng(1).normal(size=(20, COLUMNS + 1)) * 1e-3
    np.testing.assert_allclose(losses(loss, few, near), losses(loss, block, near), rtol=1e-12)


@every_loss
def test_on_the_way_from_the_first_point_to_the_last_nothing_is_lost(loss):
    block, points = random_block(loss, ROWS, COLUMNS), points_of(2, True) * np.array([[1.0], [0.9]])
    points[1] = points[0] + 0.02 * points[1]
    few = condensed(summed(loss, block, points))
    between = points[0] + np.linspace(0.0, 1.0, 11)[:, None] * (points[1] - points[0])
    np.testing.assert_allclose(losses(loss, few, between), losses(loss, block, between), rtol=1e-12)


@every_loss
def test_with_all_rows_kept_the_rows_are_as_they_were(loss):
    block, points = random_block(loss, ROWS, COLUMNS, offset=True), points_of(2, True)
    few = condensed(summed(loss, block, points, kept=ROWS))
    used = (block.weight > 0.0) & (block.fold != HELD_OUT)
    np.testing.assert_array_equal(few.features.dense(), block.features.dense()[used])
    np.testing.assert_array_equal(few.label, block.label[used])
    np.testing.assert_array_equal(few.weight, block.weight[used])
    np.testing.assert_array_equal(few.offset, block.offset[used])


@every_loss
def test_few_rows_weigh_as_much_as_all(loss):
    block, points = random_block(loss, ROWS, COLUMNS), points_of(3, True)
    sums = summed(loss, block, points)
    few = condensed(sums)
    assert sums.rows.shape == (COLUMNS + 3, KEPT)
    assert few.rows < ROWS / 3
    assert few.weight.sum() == pytest.approx(block.weight[block.fold != HELD_OUT].sum(), rel=1e-12)
    if loss.label_range.integer:
        assert set(few.label) == {0.0, 1.0}, "rows of unlike labels are never mixed"


@every_loss
def test_the_same_bits_every_time(loss):
    block, points = random_block(loss, ROWS, COLUMNS), points_of(3, True)
    assert pickle.dumps(summed(loss, block, points)) == pickle.dumps(summed(loss, block, points))


@every_loss
def test_rows_of_a_piece_have_one_derivative(loss):
    label, raw = np.random.default_rng(0).choice([0.0, 1.0], 500), np.linspace(-4.0, 4.0, 500)
    piece, distance = loss.pieces(label, raw)
    value, derivative = loss.value_and_derivative(label, raw)
    inside = distance > 1e-3
    for number in np.unique(piece):
        assert len(np.unique(derivative[inside & (piece == number)])) == 1
    moved = value + derivative * 0.9 * distance, value - derivative * 0.9 * distance
    for shift, expected in zip((0.9, -0.9), moved, strict=True):
        np.testing.assert_allclose(loss.value_and_derivative(label, raw + shift * distance)[0], expected, atol=1e-12)
