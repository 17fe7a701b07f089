"""Losses with kinks: their smoothing and their conjugate."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.exceptions import InvalidParamError
from sparkgd.losses import HingeLoss, PiecewiseLinearLoss
from tests.losses.cases import KINKED, grid_of

kinked = pytest.mark.parametrize("loss", list(KINKED.values()), ids=list(KINKED))
widths = pytest.mark.parametrize("width", [1e-3, 0.1, 1.0, 10.0])


@kinked
@widths
def test_smoothing_stays_below_the_loss_within_its_bound(loss: PiecewiseLinearLoss, width: float) -> None:
    largest = max(30.0, 1e3 * width)
    smooth, grid = loss.smoothed(width), grid_of(loss, largest=largest, count=2001)
    error = loss.value_and_derivative(grid.label, grid.raw)[0] - smooth.value_and_derivative(grid.label, grid.raw)[0]
    assert error.min() >= -1e-15 * largest
    assert 0.999 * smooth.largest_error <= error.max() <= smooth.largest_error + 1e-15 * largest


@kinked
@widths
def test_smoothed_derivatives_are_dual_feasible(loss: PiecewiseLinearLoss, width: float) -> None:
    grid = grid_of(loss)
    _, derivative = loss.smoothed(width).value_and_derivative(grid.label, grid.raw)
    assert np.all(np.isfinite(loss.conjugate(grid.label, derivative)))


@kinked
def test_fenchel_young(loss: PiecewiseLinearLoss) -> None:
    grid = grid_of(loss, largest=9.0, count=301)
    value, own = loss.value_and_derivative(grid.label, grid.raw)
    np.testing.assert_allclose(value + loss.conjugate(grid.label, own), own * grid.raw, atol=1e-12)
    low, high = loss.dual_range
    for dual in np.linspace(low, high, 7):
        derivative = np.full_like(grid.raw, dual) * loss.slope(grid.label)
        assert np.all(value + loss.conjugate(grid.label, derivative) >= derivative * grid.raw - 1e-12)


@kinked
def test_conjugate_is_the_supremum(loss: PiecewiseLinearLoss) -> None:
    grid = grid_of(loss, largest=50.0, count=200001)
    value, _ = loss.value_and_derivative(grid.label, grid.raw)
    low, high = loss.dual_range
    for dual in np.linspace(0.9 * low, 0.9 * high, 5):
        derivative = dual * np.broadcast_to(loss.slope(grid.label), grid.label.shape)
        supremum = (derivative * grid.raw - value).max(axis=1, keepdims=True)
        np.testing.assert_allclose(loss.conjugate(grid.label, derivative), supremum, atol=1e-3)


@kinked
def test_conjugate_is_infinite_outside_the_dual_range(loss: PiecewiseLinearLoss) -> None:
    label = grid_of(loss).label
    for dual in (loss.dual_range[0] - 0.01, loss.dual_range[1] + 0.01):
        assert np.all(np.isinf(loss.conjugate(label, dual * np.broadcast_to(loss.slope(label), label.shape))))


def test_a_width_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InvalidParamError, match=r"width=0\.0"):
        HingeLoss().smoothed(0.0)
