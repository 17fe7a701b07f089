"""Squared loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss, RowDerivative


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``z - y``"""
    out[0] = raw_prediction[0] - label


@dataclass(frozen=True)
class SquaredLoss(Loss):
    """``l(y, z) = (y - z)^2 / 2``, the loss of least squares."""

    name: ClassVar[str] = "squared"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    curvature_bound: ClassVar[float | None] = 1.0
    is_quadratic: ClassVar[bool] = True

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        residual = raw_prediction - label
        return 0.5 * residual * residual, residual

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.ones_like(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([label.mean])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([label])
