"""Laws that every loss obeys."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import FrozenInstanceError, replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from sparkgd.exceptions import InvalidParamError
from sparkgd.losses import LOSSES, LabelSummary, Loss, LossSettings
from tests.losses.cases import ALL, REGISTERED, SETTINGS, SMOOTHED, grid_of, labels_of

Array = npt.NDArray[np.float64]
CURVED = {name: loss for name, loss in ALL.items() if loss.has_curvature}
CONVEX = {name: loss for name, loss in ALL.items() if loss.is_convex}
BOUNDED = {name: loss for name, loss in CURVED.items() if loss.curvature_bound is not None}
GOOD_NULL = ("uber", "quantile", "epsilonInsensitive", "smoothed")
"""Losses whose null intercept is only a good start, as their docstrings say."""
EXACT_NULL = {name: loss for name, loss in ALL.items() if not any(word in name for word in GOOD_NULL)} | {
    "modifiedHuber": REGISTERED["modifiedHuber"]
}


def each(losses: dict[str, Loss]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("loss", list(losses.values()), ids=list(losses))


def shifted(raw: Array, output: int, step: float) -> Array:
    moved = np.array(raw)
    moved[..., output] += step
    return moved


def difference(loss: Loss, label: Array, raw: Array, of: int) -> list[Array]:
    """Central differences, in each output, of the value (``of=0``) or the derivative (``of=1``)."""
    step = 1e-6
    if loss.num_outputs == 1:
        high, low = loss.value_and_derivative(label, raw + step), loss.value_and_derivative(label, raw - step)
        return [(high[of] - low[of]) / (2.0 * step)]
    pairs = [
        (
            loss.value_and_derivative(label, shifted(raw, k, step))[of],
            loss.value_and_derivative(label, shifted(raw, k, -step))[of],
        )
        for k in range(loss.num_outputs)
    ]
    return [(high - low) / (2.0 * step) for high, low in pairs]


def assert_near(got: Array, expected: Array, scale: Array | float) -> None:
    np.testing.assert_array_less(np.abs(got - expected), 2e-8 * (1.0 + np.abs(expected) + np.abs(scale)))


@each(ALL)
def test_derivative_is_the_slope_of_the_value(loss: Loss) -> None:
    grid = grid_of(loss)
    value, derivative = loss.value_and_derivative(grid.label, grid.raw)
    slopes = difference(loss, grid.label, grid.raw, of=0)
    for k, slope in enumerate(slopes):
        assert_near(derivative if loss.num_outputs == 1 else derivative[..., k], slope, value)


@each(CURVED)
def test_curvature_is_the_slope_of_the_derivative(loss: Loss) -> None:
    grid = grid_of(loss)
    curvature = loss.curvature(grid.label, grid.raw)
    _, derivative = loss.value_and_derivative(grid.label, grid.raw)
    slopes = difference(loss, grid.label, grid.raw, of=1)
    for k, slope in enumerate(slopes):
        assert_near(curvature if loss.num_outputs == 1 else curvature[..., k], slope, derivative)


@each({name: loss for name, loss in ALL.items() if not loss.has_curvature})
def test_curvature_that_a_loss_does_not_have_is_refused(loss: Loss) -> None:
    grid = grid_of(loss)
    with pytest.raises(NotImplementedError, match=loss.name):
        loss.curvature(grid.label, grid.raw)


@each(CONVEX)
def test_value_lies_above_its_tangents(loss: Loss) -> None:
    grid = grid_of(loss)
    value, derivative = loss.value_and_derivative(grid.label, grid.raw)
    step = np.roll(grid.raw, 1, axis=1) - grid.raw
    product = derivative * step
    tangent = value + (product if loss.num_outputs == 1 else product.sum(axis=-1))
    assert np.all(np.roll(value, 1, axis=1) >= tangent - 1e-9 * (1.0 + np.abs(tangent)))


@each({name: loss for name, loss in CURVED.items() if not loss.is_convex and "link" not in loss.name})
def test_a_loss_that_does_not_claim_convexity_has_negative_curvature_somewhere(loss: Loss) -> None:
    grid = grid_of(loss)
    assert loss.curvature(grid.label, grid.raw).min() < 0.0


@each(BOUNDED)
def test_curvature_is_within_its_bound_and_reaches_it(loss: Loss) -> None:
    assert loss.curvature_bound is not None
    grid = grid_of(loss, largest=6.0, count=401)
    curvature = loss.curvature(grid.label, grid.raw)
    largest = curvature.max() if loss.num_outputs == 1 else np.linalg.eigvalsh(curvature).max()
    assert 0.8 * loss.curvature_bound <= largest <= loss.curvature_bound * (1.0 + 1e-12)


@each(ALL)
def test_extreme_raw_predictions_give_no_nan_and_no_warning(loss: Loss) -> None:
    for largest in (700.0, 750.0, 2e4):
        grid = grid_of(loss, largest, count=5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value, derivative = loss.value_and_derivative(grid.label, grid.raw)
            prediction = loss.inverse_link(grid.raw)
            curvature = loss.curvature(grid.label, grid.raw) if loss.has_curvature else np.zeros(1)
        for array in (value, derivative, prediction, curvature):
            assert not np.isnan(array).any()
        assert not np.any(value == -np.inf)


@each(ALL)
def test_shapes(loss: Loss) -> None:
    grid = grid_of(loss)
    before = grid.label.copy(), grid.raw.copy()
    value, derivative = loss.value_and_derivative(grid.label, grid.raw)
    outputs = () if loss.num_outputs == 1 else (loss.num_outputs,)
    assert value.shape == grid.raw.shape[: grid.raw.ndim - len(outputs)] and derivative.shape == grid.raw.shape
    one_value, one_derivative = loss.value_and_derivative(grid.label[:, 0], grid.raw[:, 0])
    np.testing.assert_array_equal(one_value, value[:, 0])
    np.testing.assert_array_equal(one_derivative, derivative[:, 0])
    if loss.has_curvature:
        assert loss.curvature(grid.label, grid.raw).shape == grid.raw.shape + outputs
        np.testing.assert_array_equal(
            loss.curvature(grid.label[:, 0], grid.raw[:, 0]), loss.curvature(grid.label, grid.raw)[:, 0]
        )
    np.testing.assert_array_equal(before[0], grid.label)
    np.testing.assert_array_equal(before[1], grid.raw)


@each(ALL)
def test_frozen_compared_by_value_and_picklable(loss: Loss) -> None:
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss and hash(again) == hash(loss)
    with pytest.raises(FrozenInstanceError):
        loss.anything = 1.0  # type: ignore[attr-defined]


def test_losses_of_other_names_or_settings_differ() -> None:
    distinct = [*REGISTERED.values(), *SMOOTHED.values(), ALL["huber 0.5"], ALL["quantile 0.9"], ALL["tweedie 1.9"]]
    assert len(set(distinct)) == len(distinct)


@each(ALL)
def test_label_range_holds_where_the_loss_is_finite(loss: Loss) -> None:
    allowed, labels = loss.label_range, labels_of(loss)
    assert allowed.allows(labels.min(), labels.max(), bool(np.all(labels == np.floor(labels))))
    assert not allowed.allows(allowed.low - 1.0, labels.max(), True) or np.isinf(allowed.low)
    assert not allowed.allows(labels.min(), allowed.high + 1.0, True) or np.isinf(allowed.high)
    assert allowed.allows(labels.min(), labels.max(), False) is not allowed.integer
    if allowed.low_open:
        assert not allowed.allows(allowed.low, labels.max(), True)


def summary_of(label: Array, weight: Array) -> LabelSummary:
    total, mean = float(weight.sum()), float(np.average(label, weights=weight))
    return LabelSummary(
        weight_sum=total,
        mean=mean,
        variance=float(np.average((label - mean) ** 2, weights=weight)),
        low=float(label.min()),
        high=float(label.max()),
        integer=bool(np.all(label == np.floor(label))),
        class_weights={int(y): float(weight[label == y].sum()) for y in np.unique(label)},
    )


def null_data(loss: Loss) -> tuple[Array, Array]:
    label = labels_of(loss)
    return label, np.linspace(1.0, 2.5, len(label))


@each(EXACT_NULL)
def test_null_intercept_minimises_the_weighted_loss(loss: Loss) -> None:
    label, weight = null_data(loss)
    start = loss.null_intercept(summary_of(label, weight))
    assert start.shape == (loss.num_outputs,)

    def mean_loss(raw: Array) -> float:
        point = raw if loss.num_outputs > 1 else raw[0]
        tiled = np.broadcast_to(point, (len(label), *np.shape(point)))
        return float(weight @ loss.value_and_derivative(label, tiled)[0])

    best = optimize.minimize(mean_loss, start + 0.3, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
    assert mean_loss(start) <= best.fun + 1e-8 * (1.0 + abs(best.fun))


@each(ALL)
def test_null_intercept_and_typical_curvature_are_finite(loss: Loss) -> None:
    label, weight = null_data(loss)
    summary = summary_of(label, weight)
    start = loss.null_intercept(summary)
    assert start.shape == (loss.num_outputs,) and np.all(np.isfinite(start))
    if loss.has_curvature:
        assert 0.0 < loss.typical_curvature(summary) < np.inf


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("huber", replace(SETTINGS, epsilon=0.0)),
        ("huber", replace(SETTINGS, epsilon=float("nan"))),
        ("epsilonInsensitive", replace(SETTINGS, epsilon=-0.1)),
        ("quantile", replace(SETTINGS, quantile=1.0)),
        ("tweedie", replace(SETTINGS, power=0.5)),
        ("negativeBinomial", replace(SETTINGS, alpha=0.0)),
        ("multinomial", replace(SETTINGS, num_classes=1)),
    ],
)
def test_settings_out_of_range_are_refused_with_a_message(name: str, settings: LossSettings) -> None:
    with pytest.raises(InvalidParamError, match=f"the {name} loss has .* must be"):
        LOSSES[name].build(settings)


@pytest.mark.parametrize("name", LOSSES)
def test_registered_under_its_own_name(name: str) -> None:
    assert REGISTERED[name].name == name
    assert LOSSES[name].build(SETTINGS) == REGISTERED[name]


@each(ALL)
def test_the_best_prediction_of_a_label_has_the_least_loss(loss: Loss) -> None:
    grid = grid_of(loss)
    values = loss.value_and_derivative(grid.label, grid.raw)[0]
    for i, label in enumerate(grid.label[:, 0]):
        best = loss.best_prediction(float(label))
        if best is None:
            continue
        assert best.shape == (loss.num_outputs,)
        least = 0.0
        if np.isfinite(best).all():
            raw = best if loss.num_outputs > 1 else best[0]
            least = float(loss.value_and_derivative(np.array(label), np.asarray(raw))[0])
        elif loss.num_outputs == 1:  # the loss falls all the way there, on its side of zero at least
            side = np.sort(grid.raw[i][grid.raw[i] * best[0] > 0.0])
            falling = loss.value_and_derivative(np.full_like(side, label), side)[0]
            assert np.all(np.diff(falling) * np.sign(best[0]) <= 1e-15)
        if loss.num_scalars == 0:
            assert np.all(values[i] >= least - 1e-12)


@each({name: loss for name, loss in ALL.items() if name not in SMOOTHED})
def test_a_best_prediction_is_missing_only_where_no_mean_is_the_label(loss: Loss) -> None:
    for label in labels_of(loss):
        assert loss.best_prediction(float(label)) is not None or (name_has_link(loss) and label <= 0.0)


def name_has_link(loss: Loss) -> bool:
    """Whether it is the loss of a family and a link, whose means may be positive numbers only."""
    return hasattr(loss, "link")
