"""Squared hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, RowDerivative


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``-2 s max(0, 1 - s z)``"""
    sign = 2.0 * label - 1.0
    out[0] = -2.0 * sign * max(1.0 - sign * raw_prediction[0], 0.0)


@dataclass(frozen=True)
class SquaredHingeLoss(Loss):
    """``l(y, z) = max(0, 1 - s z)^2`` with ``s = 2 y - 1`` for labels 0 and 1: a smooth support vector machine."""

    name: ClassVar[str] = "squaredHinge"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0, integer=True)
    curvature_bound: ClassVar[float | None] = 2.0

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        sign = 2.0 * label - 1.0
        shortfall = np.maximum(1.0 - sign * raw_prediction, 0.0)
        return shortfall * shortfall, shortfall * (-2.0 * sign)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.where((2.0 * label - 1.0) * raw_prediction < 1.0, 2.0, 0.0)

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([2.0 * label.mean - 1.0])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([2.0 * label - 1.0])
