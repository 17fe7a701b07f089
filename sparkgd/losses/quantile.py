"""Quantile loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from sparkgd.losses.base import Array, LabelSummary, RowDerivative, check_setting
from sparkgd.losses.piecewise_linear import PiecewiseLinearLoss


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``-q`` below the label, ``1 - q`` above it; q is ``parameter``."""
    residual = label - raw_prediction[0]
    out[0] = -parameter if residual > 0.0 else (1.0 - parameter if residual < 0.0 else 0.0)


@dataclass(frozen=True)
class QuantileLoss(PiecewiseLinearLoss):
    """``l(y, z) = max(q r, (q - 1) r)`` with ``r = y - z``: its best constant is the q-quantile of the labels.

    The null intercept is that of a normal distribution of the labels' mean and variance: good, not the best.
    Koenker and Bassett, "Regression quantiles" (1978).

    Parameters
    ----------
    quantile : float
        q, strictly between 0 and 1; 0.5 is least absolute deviations, halved.
    """

    quantile: float = 0.5
    name: ClassVar[str] = "quantile"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)

    @property
    def row_parameter(self) -> float:
        return self.quantile

    def __post_init__(self) -> None:
        check_setting(0.0 < self.quantile < 1.0, self.name, "quantile", self.quantile, "strictly between 0 and 1")

    @property
    def dual_range(self) -> tuple[float, float]:
        return self.quantile - 1.0, self.quantile

    def residual(self, label: Array, raw_prediction: Array) -> Array:
        return label - raw_prediction

    def slope(self, label: Array) -> float:
        return -1.0

    def null_intercept(self, label: LabelSummary) -> Array:
        normal = label.mean + np.sqrt(label.variance) * float(ndtri(self.quantile))
        return np.array([min(max(normal, label.low), label.high)])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([label])
