"""Hinge loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, RowDerivative
from sparkgd.losses.piecewise_linear import PiecewiseLinearLoss


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``-s`` where ``s z < 1``"""
    sign = 2.0 * label - 1.0
    out[0] = -sign if sign * raw_prediction[0] < 1.0 else 0.0


@dataclass(frozen=True)
class HingeLoss(PiecewiseLinearLoss):
    """``l(y, z) = max(0, 1 - s z)`` with ``s = 2 y - 1`` for labels 0 and 1: the support vector machine."""

    name: ClassVar[str] = "hinge"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0, integer=True)
    dual_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def residual(self, label: Array, raw_prediction: Array) -> Array:
        return 1.0 - (2.0 * label - 1.0) * raw_prediction

    def slope(self, label: Array) -> Array:
        return 1.0 - 2.0 * label

    def residual_scale(self, label: LabelSummary) -> float:
        return 1.0

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([1.0 if label.mean >= 0.5 else -1.0])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([2.0 * label - 1.0])
