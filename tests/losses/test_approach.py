"""Where a loss is defined, and the losses that lead there."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.losses import LINKS, GeneralizedLoss, LabelSummary, Loss, PowerFamily, generalized_loss, power_link
from tests.losses.cases import ALL, GENERALIZED, Array, grid_of

SUMMARY = LabelSummary(10.0, mean=0.6, variance=0.2, low=0.1, high=0.9)
RESTRICTED = {name: loss for name, loss in GENERALIZED.items() if isinstance(loss, GeneralizedLoss)}
APPROACHES = [(f"{name} {i}", a) for name, loss in RESTRICTED.items() for i, a in enumerate(loss.approaches(SUMMARY))]
each_approach = pytest.mark.parametrize("approach", [a for _, a in APPROACHES], ids=[name for name, _ in APPROACHES])
LABEL = np.array([0.1, 0.4, 0.8])[:, None]


@pytest.mark.parametrize("name", ALL)
def test_a_loss_is_finite_where_it_accepts(name: str) -> None:
    loss = ALL[name]
    grid = grid_of(loss)
    assert loss.accepts(grid.raw).all()
    if loss.num_outputs == 1:
        raw = np.concatenate([grid.raw, -grid.raw, np.zeros_like(grid.raw)], axis=1)
        value, _ = loss.value_and_derivative(grid.label, raw)
        assert np.isfinite(value[loss.accepts(raw)]).all()
        assert loss.accepts(raw).all() or not np.isfinite(value[~loss.accepts(raw)]).any()


def test_losses_of_every_raw_prediction_need_no_approach() -> None:
    for loss in ALL.values():
        if not isinstance(loss, GeneralizedLoss):
            assert not loss.approaches(SUMMARY)


@each_approach
def test_derivatives_of_an_approach(approach: Loss) -> None:
    raw = np.broadcast_to(np.linspace(-3.0, 3.0, 61) + 0.0123, (3, 61))
    step = 1e-6

    def at(z: Array) -> tuple[Array, Array]:
        return approach.value_and_derivative(LABEL, z)

    (value, slope), (above, above_slope), (below, below_slope) = at(raw), at(raw + step), at(raw - step)
    assert np.all(value >= 0.0)
    np.testing.assert_allclose(slope, (above - below) / (2.0 * step), rtol=1e-5, atol=1e-5 * np.abs(slope).max())
    curvature = approach.curvature(LABEL, raw)
    numeric = (above_slope - below_slope) / (2.0 * step)
    np.testing.assert_allclose(curvature, numeric, rtol=1e-5, atol=1e-5 * np.abs(curvature).max())


@pytest.mark.parametrize("name", RESTRICTED)
def test_the_first_is_a_step_of_reweighted_least_squares(name: str) -> None:
    """At the rows' own means derivative and curvature are those of the loss, its expected one."""
    loss = RESTRICTED[name]
    first = loss.approaches(SUMMARY)[0]
    own = 0.5 * (LABEL + SUMMARY.mean)
    raw = loss.link.value(own)
    slope = loss.link.inverse_derivatives(raw)[0]
    _, derivative = loss.value_and_derivative(LABEL, raw)
    np.testing.assert_allclose(first.value_and_derivative(LABEL, raw)[1], derivative, rtol=1e-12)
    np.testing.assert_allclose(first.curvature(LABEL, raw), slope**2 / loss.family.variance(own), rtol=1e-12)


@pytest.mark.parametrize("name", RESTRICTED)
def test_where_the_last_is_zero_the_loss_is_finite(name: str) -> None:
    loss = RESTRICTED[name]
    raw = np.broadcast_to(np.linspace(-5.0, 5.0, 1001), (3, 1001))
    last, _ = loss.approaches(SUMMARY)[-1].value_and_derivative(LABEL, raw)
    assert loss.accepts(raw)[last == 0.0].all()
    own = loss.link.value(0.5 * (LABEL + SUMMARY.mean))
    for approach in loss.approaches(SUMMARY)[1:]:
        assert not approach.value_and_derivative(LABEL, own)[0].any()


def test_rows_without_a_mean_of_their_own_cost_nothing() -> None:
    loss = generalized_loss(PowerFamily(0.0), power_link(0.5))
    for approach in loss.approaches(SUMMARY):
        value, slope = approach.value_and_derivative(np.array([-3.0, 0.1]), np.array([-1.0, -1.0]))
        assert value[0] == slope[0] == approach.curvature(np.array([-3.0]), np.array([-1.0]))[0] == 0.0
        assert value[1] > 0.0


def test_a_null_model_stands_for_a_mean_even_if_the_labels_own_does_not() -> None:
    label = LabelSummary(10.0, mean=-0.5, variance=2.0, low=-3.0, high=1.0)
    loss = generalized_loss(PowerFamily(0.0), LINKS["log"])
    np.testing.assert_allclose(loss.null_intercept(label), [np.log(1.5)])
    assert 0.0 < loss.typical_curvature(label) < np.inf
