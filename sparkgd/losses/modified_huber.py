"""Modified Huber loss for two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, RowDerivative


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``-2 s min(max(0, 1 - s z), 2)``"""
    sign = 2.0 * label - 1.0
    out[0] = -2.0 * sign * min(max(1.0 - sign * raw_prediction[0], 0.0), 2.0)


@dataclass(frozen=True)
class ModifiedHuberLoss(Loss):
    """Squared hinge that turns linear on the wrong side, with ``s = 2 y - 1`` for labels 0 and 1::

        l(y, z) = max(0, 1 - s z)^2     where s z >= -1
                = -4 s z                elsewhere

    With ``t = max(0, 1 - s z)`` and ``c = min(t, 2)`` it is ``c (2 t - c)``, of derivative ``2 c`` in t. Zhang,
    "Solving large scale linear prediction problems using stochastic gradient descent algorithms" (2004).
    """

    name: ClassVar[str] = "modifiedHuber"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0, integer=True)
    curvature_bound: ClassVar[float | None] = 2.0

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        sign = 2.0 * label - 1.0
        shortfall = np.maximum(1.0 - sign * raw_prediction, 0.0)
        capped = np.minimum(shortfall, 2.0)
        shortfall *= 2.0
        shortfall -= capped
        shortfall *= capped
        return shortfall, capped * (-2.0 * sign)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.where(np.abs((2.0 * label - 1.0) * raw_prediction) < 1.0, 2.0, 0.0)

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The probability of label 1, ``(clip(z, -1, 1) + 1) / 2``, which minimises the expected loss."""
        return 0.5 * np.clip(raw_prediction, -1.0, 1.0) + 0.5

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([2.0 * label.mean - 1.0])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([2.0 * label - 1.0])
