"""Epsilon-insensitive loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, RowDerivative, check_setting
from sparkgd.losses.piecewise_linear import PiecewiseLinearLoss


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """The sign of the residual where it is larger than ``parameter``."""
    residual = raw_prediction[0] - label
    out[0] = 1.0 if residual > parameter else (-1.0 if residual < -parameter else 0.0)


@dataclass(frozen=True)
class EpsilonInsensitiveLoss(PiecewiseLinearLoss):
    """``l(y, z) = max(0, |y - z| - epsilon)``: support vector regression.

    The null intercept is the labels' mean: good, not the best.

    Parameters
    ----------
    epsilon : float
        Error that costs nothing, in units of the label; zero or above.
    """

    epsilon: float = 0.1
    name: ClassVar[str] = "epsilonInsensitive"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    dual_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    @property
    def row_parameter(self) -> float:
        return self.epsilon

    def __post_init__(self) -> None:
        check_setting(0.0 <= self.epsilon < np.inf, self.name, "epsilon", self.epsilon, "zero or above")

    @property
    def dead_zone(self) -> float:
        return self.epsilon

    def residual(self, label: Array, raw_prediction: Array) -> Array:
        return label - raw_prediction

    def slope(self, label: Array) -> float:
        return -1.0

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([label.mean])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([label])
