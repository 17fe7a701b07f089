"""Losses with kinks, seen as a maximum over dual variables; their smoothing and their conjugate come for free.

Every one of them is ``l(y, z) = max over low <= a <= high of [a t - width |a|]`` with a residual ``t = t(y, 0) + s z``
and a slope ``s = dt/dz`` of 1 or -1.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, check_setting


class PiecewiseLinearLoss(Loss):
    """A convex, piecewise linear loss. Subclasses say what residual, slope and the range of the dual variable are."""

    is_smooth: ClassVar[bool] = False
    has_curvature: ClassVar[bool] = False

    @property
    @abstractmethod
    def dual_range(self) -> tuple[float, float]:
        """``low <= 0 <= high``: the steepest slopes in t, on either side."""

    @property
    def dead_zone(self) -> float:
        """Half the width of the interval of residuals that cost nothing."""
        return 0.0

    @abstractmethod
    def residual(self, label: Array, raw_prediction: Array) -> Array:
        """The residual t."""

    @abstractmethod
    def slope(self, label: Array) -> Array | float:
        """``dt/dz``, 1 or -1."""

    def excess(self, label: Array, raw_prediction: Array) -> Array:
        """The residual's part outside the dead zone."""
        residual = self.residual(label, raw_prediction)
        if self.dead_zone > 0.0:
            residual -= np.clip(residual, -self.dead_zone, self.dead_zone)
        return residual

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        low, high = self.dual_range
        excess = self.excess(label, raw_prediction)
        dual = np.where(excess > 0.0, high, np.where(excess < 0.0, low, 0.0))
        return dual * excess, dual * self.slope(label)

    def conjugate(self, label: Array, derivative: Array) -> Array:
        """``sup_z [derivative z - l(y, z)]``: inf where no point of the loss has such a derivative.

        ``l(y, z) >= derivative z - conjugate`` for every z (Fenchel), so derivatives that balance the penalty bound the
        optimum from below and certify how far a point is from it.
        """
        low, high = self.dual_range
        dual = derivative * self.slope(label)
        value = self.dead_zone * np.abs(dual) - dual * self.residual(label, np.zeros_like(derivative))
        return np.where((dual >= low) & (dual <= high), value, np.inf)

    def smoothed(self, width: float) -> SmoothedLoss:
        """A smooth loss below this one, nearer the smaller ``width`` (see `SmoothedLoss`)."""
        return SmoothedLoss(self, width)


@dataclass(frozen=True)
class SmoothedLoss(Loss):
    """Nesterov's smoothing: ``l_w(y, z) = max over low <= a <= high of [a t - dead_zone |a| - w a^2 / 2]``.

    With u the residual's part outside the dead zone and ``a = clip(u / w, low, high)`` it is ``a u - w a^2 / 2``, of
    derivative ``a s`` and curvature ``1/w`` where a is not clipped. ``0 <= l - l_w <= largest_error``, and the
    derivatives are feasible for the conjugate of the loss itself. Nesterov, "Smooth minimization of non-smooth
    functions" (2005).

    Parameters
    ----------
    loss : PiecewiseLinearLoss
    width : float
        w, positive, in units of the residual.
    """

    loss: PiecewiseLinearLoss
    width: float

    def __post_init__(self) -> None:
        check_setting(0.0 < self.width < np.inf, self.name, "width", self.width, "positive")

    @property
    def name(self) -> str:
        return f"smoothed {self.loss.name}"

    @property
    def label_range(self) -> LabelRange:
        return self.loss.label_range

    @property
    def curvature_bound(self) -> float:
        return 1.0 / self.width

    @property
    def largest_error(self) -> float:
        """``w max(low^2, high^2) / 2``: how far the loss is above its smoothing, at most."""
        return 0.5 * self.width * max(abs(end) for end in self.loss.dual_range) ** 2

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        excess = self.loss.excess(label, raw_prediction)
        dual = np.clip(excess / self.width, *self.loss.dual_range)
        excess -= (0.5 * self.width) * dual
        excess *= dual
        return excess, dual * self.loss.slope(label)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        low, high = self.loss.dual_range
        dual = self.loss.excess(label, raw_prediction) / self.width
        return np.where((dual != 0.0) & (dual > low) & (dual < high), 1.0 / self.width, 0.0)

    def inverse_link(self, raw_prediction: Array) -> Array:
        return self.loss.inverse_link(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return self.loss.null_intercept(label)
