"""Numerical check of a loss against its own claims."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.exceptions import InvalidParamError
from sparkgd.losses.base import Array, LabelRange, Loss

Mask = npt.NDArray[np.bool_]

STEP = 1e-5
"""Step of central differences."""

TOLERANCE = 1e-4
"""Relative difference between a derivative and central differences that rounding and curvature may explain."""

KINKS = 0.1
"""Share of the points of a label at which a derivative may jump, as that of a piecewise loss does."""

BISECTIONS = 30
"""Halvings after which an interval between two points of the grid is as short as rounding allows."""


def check_loss(loss: Loss) -> None:
    """Refuse a loss of one output whose functions contradict each other.

    Raises
    ------
    InvalidParamError
        With the label and the raw prediction of the first failure.
    """
    label, raw = _grid(loss.label_range)
    with np.errstate(all="ignore"):
        value, derivative = loss.value_and_derivative(label, raw)
        if not np.array_equal(raw, _grid(loss.label_range)[1]):
            raise InvalidParamError(f"{loss.name} changes its arguments in place; it must return new arrays")
        _check_array(loss, "value", value, raw)
        _check_array(loss, "derivative", derivative, raw)
        values = [loss.value_and_derivative(label, raw + shift)[0] for shift in (-STEP, STEP)]
        _check_slope(loss, "derivative", derivative, "value", values, label, raw)
        defined = np.isfinite(value[:, :-1]) & np.isfinite(value[:, 1:])
        if loss.is_convex:
            _check_convex(loss, derivative, defined, label, raw)
        if loss.is_smooth:
            _check_smooth(loss, derivative, defined, label, raw)
        if loss.has_curvature:
            _check_curvature(loss, label, raw)
        _check_shape(loss, "inverse_link", loss.inverse_link(raw), raw)


def _grid(allowed: LabelRange) -> tuple[Array, Array]:
    """Labels (n, 1) across the range and raw predictions (n, m), increasing and off round numbers."""
    low = allowed.low if np.isfinite(allowed.low) else min(-3.0, allowed.high - 6.0)
    high = allowed.high if np.isfinite(allowed.high) else max(3.0, low + 6.0)
    label = np.linspace(low, high, 7)
    if allowed.low_open:
        label = label[1:]
    if allowed.integer:
        label = np.unique(np.round(label))
    axis = np.linspace(-4.0, 4.0, 41) + 0.0137
    return label[:, None], np.tile(axis, (len(label), 1))


def _check_shape(loss: Loss, function: str, array: Array, raw: Array) -> None:
    if array.shape != raw.shape:
        raise InvalidParamError(
            f"{loss.name}.{function} returned the shape {array.shape} for arrays of shape {raw.shape}; it must work "
            "element by element"
        )


def _check_array(loss: Loss, function: str, array: Array, raw: Array) -> None:
    _check_shape(loss, function, array, raw)
    if np.isnan(array).any():
        raise InvalidParamError(f"{loss.name}.{function} returned nan; where the loss is not defined it must be inf")


def _check_slope(
    loss: Loss, function: str, given: Array, of: str, around: list[Array], label: Array, raw: Array
) -> None:
    """Compare ``given`` with central differences of ``around``; a few points may be kinks."""
    slope = (around[1] - around[0]) / (2.0 * STEP)
    scale = 1.0 + np.abs(slope) + np.abs(around[0]) * 1e-3
    wrong = np.isfinite(slope) & ~(np.abs(given - slope) <= TOLERANCE * scale)
    too_many = wrong & (wrong.mean(axis=1, keepdims=True) > KINKS)
    if too_many.any():
        at = _first(too_many)
        raise InvalidParamError(
            f"{loss.name}.{function} is not the derivative of its {of}: at {_point(label, raw, at)} it is "
            f"{given[at]:.6g}, but differences of the {of} give {slope[at]:.6g}"
        )


def _check_convex(loss: Loss, derivative: Array, defined: Mask, label: Array, raw: Array) -> None:
    fall = defined & (np.diff(derivative, axis=1) < -1e-9 * (1.0 + np.abs(derivative[:, 1:])))
    if fall.any():
        at = _first(fall)
        raise InvalidParamError(
            f"{loss.name} is not convex: its derivative falls after {_point(label, raw, at)}. Correct it, or set "
            "is_convex = False"
        )


def _check_curvature(loss: Loss, label: Array, raw: Array) -> None:
    curvature = loss.curvature(label, raw)
    _check_array(loss, "curvature", curvature, raw)
    derivatives = [loss.value_and_derivative(label, raw + shift)[1] for shift in (-STEP, STEP)]
    _check_slope(loss, "curvature", curvature, "derivative", derivatives, label, raw)
    bound = loss.curvature_bound
    if bound is not None and curvature.max() > bound * (1.0 + 1e-9):
        at = _first(curvature > bound * (1.0 + 1e-9))
        raise InvalidParamError(
            f"{loss.name}.curvature_bound is {bound:g}, but at {_point(label, raw, at)} the curvature is "
            f"{curvature[at]:.6g}"
        )


def _check_smooth(loss: Loss, derivative: Array, defined: Mask, label: Array, raw: Array) -> None:
    """Bisect every interval of the grid towards its largest jump of the derivative; only a kink keeps one."""
    low, high = raw[:, :-1], raw[:, 1:]
    low_slope, high_slope = derivative[:, :-1], derivative[:, 1:]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        slope = loss.value_and_derivative(label, middle)[1]
        left = np.abs(slope - low_slope) >= np.abs(high_slope - slope)
        low, low_slope = np.where(left, low, middle), np.where(left, low_slope, slope)
        high, high_slope = np.where(left, middle, high), np.where(left, slope, high_slope)
    jump = defined & (np.abs(high_slope - low_slope) > TOLERANCE * (1.0 + np.abs(low_slope)))
    if jump.any():
        at = _first(jump)
        raise InvalidParamError(
            f"{loss.name} is not smooth: its derivative jumps from {low_slope[at]:.4g} to {high_slope[at]:.4g} at "
            f"{_point(label, low, at)}. Smooth it, or set is_smooth = False"
        )


def _point(label: Array, raw: Array, at: tuple[int, int]) -> str:
    return f"label {label[at[0], 0]:g} and raw prediction {raw[at]:.4g}"


def _first(wrong: Mask) -> tuple[int, int]:
    row, column = np.argwhere(wrong)[0]
    return int(row), int(column)
