"""Huber loss with a fixed scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss, RowDerivative, check_setting


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """The residual ``z - y``, clipped to ``parameter``."""
    out[0] = max(min(raw_prediction[0] - label, parameter), -parameter)


@dataclass(frozen=True)
class HuberLoss(Loss):
    """Squared near the label, absolute far from it, with ``r = z - y``::

        l(y, z) = r^2 / 2                           where |r| <= epsilon
                = epsilon * (|r| - epsilon / 2)     elsewhere

    Evaluated as ``c (r - c / 2)`` with ``c = clip(r, -epsilon, epsilon)``, which is also the derivative. The null
    intercept is the label's mean: good, not the best. Huber, "Robust estimation of a location parameter" (1964).

    Parameters
    ----------
    epsilon : float
        Where the loss turns from squared to absolute, in units of the label; positive.
    """

    epsilon: float = 1.35
    name: ClassVar[str] = "huber"
    can_be_curved: ClassVar[bool] = True
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    curvature_bound: ClassVar[float | None] = 1.0

    @property
    def row_parameter(self) -> float:
        return self.epsilon

    def __post_init__(self) -> None:
        check_setting(0.0 < self.epsilon < np.inf, self.name, "epsilon", self.epsilon, "positive")

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        residual = raw_prediction - label
        clipped = np.clip(residual, -self.epsilon, self.epsilon)
        residual -= 0.5 * clipped
        residual *= clipped
        return residual, clipped

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return (np.abs(raw_prediction - label) <= self.epsilon).astype(np.float64)

    def curved(self, share: float) -> HuberLoss:
        return CurvedHuberLoss(self.epsilon, share)

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([label.mean])

    def best_prediction(self, label: float) -> Array | None:
        return np.array([label])


@dataclass(frozen=True)
class CurvedHuberLoss(HuberLoss):
    """With a share of ``epsilon / |r|`` for the curvature of the straight parts (see `Loss.curved`).

    Whole, it is that of the parabola through ``z`` with its vertex at the label, which touches the loss from above:
    Newton's method becomes iteratively reweighted least squares.
    """

    share: float = 1.0

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        distance = np.abs(raw_prediction - label)
        return np.where(distance <= self.epsilon, 1.0, self.share * self.epsilon / np.maximum(distance, self.epsilon))
