"""Losses with kinks, seen as a maximum over dual variables; their smoothing and their conjugate come for free.

Every one of them is ``l(y, z) = max over low <= a <= high of [a t - width |a|]`` with a residual ``t = t(y, 0) + s z``
and a slope ``s = dt/dz`` of 1 or -1.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, check_setting

FAR = 100.0
"""Widths from a kink at which a smoothed loss counts as straight."""


class PiecewiseLinearLoss(Loss):
    """A convex, piecewise linear loss. Subclasses say what residual, slope and the range of the dual variable are."""

    is_smooth: ClassVar[bool] = False
    can_be_smoothed: ClassVar[bool] = True
    is_piecewise_linear: ClassVar[bool] = True
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

    def pieces(self, label: Array, raw_prediction: Array) -> tuple[npt.NDArray[np.intp], Array]:
        """Pieces are numbered by where the residual is, left of, within or right of the dead zone, and by its slope."""
        residual = self.residual(label, raw_prediction)
        low, _ = self.dual_range
        is_right = residual > self.dead_zone
        is_left = (residual < -self.dead_zone) & (low < 0.0)
        piece = 2 * (1 + is_right.astype(np.intp) - is_left) + (np.asarray(self.slope(label)) > 0.0)
        nearest = np.abs(residual) if low < 0.0 else residual
        return piece, np.abs(nearest - self.dead_zone)

    def residual_scale(self, label: LabelSummary) -> float:
        """A typical size of residuals at the null model."""
        return float(np.sqrt(label.variance)) or 1.0

    def typical_width(self, label: LabelSummary) -> float:
        return 4.0 * self.residual_scale(label)

    def typical_curvature(self, label: LabelSummary) -> float:
        """That of the loss smoothed to the typical width: as many rows are near a kink as that spreads over."""
        low, high = self.dual_range
        return (high - low) / self.typical_width(label)

    def smoothed(self, width: float) -> SmoothedLoss:
        """A smooth loss below this one, nearer the smaller ``width`` (see `SmoothedLoss`)."""
        return SmoothedLoss(self, width)


@dataclass(frozen=True)
class SmoothedLoss(Loss):
    """The loss with hyperbolas at its kinks: ``l_w = high S(t - dead_zone) - low S(-t - dead_zone)`` with ::

        ``S(t) = max over 0 <= a <= 1 of [a t + h sqrt(a (1 - a))] - h/2 = (t + sqrt(t^2 + h^2) - h) / 2,  h = w/2``

    in place of ``max(t, 0)`` (Nesterov, "Smooth minimization of non-smooth functions", 2005, with the root as prox
    function; Chen and Harker, 1993). ``0 <= l - l_w <= largest_error``, and the derivatives are feasible for the
    conjugate of the loss itself. Unlike the quadratic prox function this one leaves every row some curvature, so that
    Newton's method sees the kinks that it approaches: on SVMs it takes half the rounds.

    Parameters
    ----------
    loss : PiecewiseLinearLoss
    width : float
        w, positive, in units of the residual: the curvature at a kink is its jump of slope divided by w.
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
        """Where a residual is at one of the two kinks, it is at least the dead zone away from the other."""
        steep, flat = sorted(map(abs, self.loss.dual_range), reverse=True)
        at_kink, beside = self._bend(np.array([0.0, self.loss.dead_zone]))
        return float(steep * at_kink + flat * beside)

    @property
    def largest_error(self) -> float:
        """``w (high - low) / 4``: how far the loss is above its smoothing, at most (far from the kinks)."""
        low, high = self.loss.dual_range
        return 0.25 * self.width * (high - low)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        low, high = self.loss.dual_range
        residual = self.loss.residual(label, raw_prediction)
        value, dual = self._ramp(residual - self.loss.dead_zone)
        value *= high
        dual *= high
        if low < 0.0:
            other_value, other_dual = self._ramp(-residual - self.loss.dead_zone)
            value -= low * other_value
            dual += low * other_dual
        return value, dual * self.loss.slope(label)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        low, high = self.loss.dual_range
        residual = self.loss.residual(label, raw_prediction)
        curvature = high * self._bend(residual - self.loss.dead_zone)
        if low < 0.0:
            curvature -= low * self._bend(-residual - self.loss.dead_zone)
        return curvature

    def _ramp(self, t: Array) -> tuple[Array, Array]:
        """S and its derivative, without cancellation: ``sqrt(t^2 + h^2) - |t| = h^2 / (sqrt(t^2 + h^2) + |t|)``."""
        h = 0.5 * self.width
        root, size = np.hypot(t, h), np.abs(t)
        rest = (0.5 * h * h) / (root + size)
        tail = rest / root
        return np.maximum(t, 0.0) + rest - 0.5 * h, np.where(t > 0.0, 1.0 - tail, tail)

    def _bend(self, t: Array) -> Array:
        """Second derivative of S; zero where it is but a ten millionth of that at the kink.

        Most rows are so far from a kink sooner or later, and a Hessian is summed without those that have no curvature.
        """
        h = 0.5 * self.width
        return np.where(np.abs(t) < FAR * self.width, (0.5 * h * h) / np.hypot(t, h) ** 3, 0.0)

    def inverse_link(self, raw_prediction: Array) -> Array:
        return self.loss.inverse_link(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return self.loss.null_intercept(label)
