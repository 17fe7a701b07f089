"""Box bounds, alone or on top of another penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.penalties.base import Array, NoPenalty, Penalty


@dataclass(frozen=True, eq=False)
class Bounded(Penalty):
    """``penalty(w)`` where ``low <= w <= high``, infinite elsewhere.

    The prox of a convex function of one variable under bounds is its unbounded prox, clipped; hence the demand below.

    Parameters
    ----------
    low, high : ndarray (n,)
        Bounds by weight; infinite for none.
    penalty : Penalty
        Piecewise: its rough part must be a sum over single weights.

    Raises
    ------
    ValueError
        If a lower bound exceeds the upper one or the penalty is not piecewise.
    """

    low: Array
    high: Array
    penalty: Penalty = NoPenalty()

    def __post_init__(self) -> None:
        if np.any(np.asarray(self.low) > self.high):
            raise ValueError("a lower bound exceeds its upper bound")
        if not self.penalty.is_piecewise:
            raise ValueError("bounds go with penalties of single weights (none, L1, L2, elastic net), not of groups")

    @property
    def is_smooth(self) -> bool:
        unbounded = np.all(np.isneginf(self.low)) and np.all(np.isposinf(self.high))
        return bool(unbounded) and self.penalty.is_smooth

    def smooth_value(self, weights: Array) -> float:
        return self.penalty.smooth_value(weights)

    def smooth_gradient(self, weights: Array) -> Array:
        return self.penalty.smooth_gradient(weights)

    def smooth_curvature(self, count: int) -> Array:
        return self.penalty.smooth_curvature(count)

    def rough_value(self, weights: Array) -> float:
        inside = np.all((weights >= self.low) & (weights <= self.high))
        return self.penalty.rough_value(weights) if inside else np.inf

    def prox(self, weights: Array, step: float | Array) -> Array:
        return np.clip(self.penalty.prox(weights, step), self.low, self.high)

    def project(self, weights: Array) -> Array:
        return np.clip(self.penalty.project(weights), self.low, self.high)

    def slopes(self, weights: Array) -> tuple[Array, Array]:
        left, right = self.penalty.slopes(weights)
        return np.where(weights <= self.low, -np.inf, left), np.where(weights >= self.high, np.inf, right)

    def piece(self, weights: Array, direction: Array) -> tuple[Array, Array]:
        low, high = self.penalty.piece(weights, direction)
        return np.maximum(low, self.low), np.minimum(high, self.high)

    def pulls_to_zero(self, count: int) -> npt.NDArray[np.bool_]:
        return self.penalty.pulls_to_zero(count) & (self.low <= 0.0) & (self.high >= 0.0)

    def zero_factor(self, slope: Array) -> float:
        # A wall at zero holds a weight against a slope beyond it, whatever the penalty is.
        held = ((slope > 0.0) & (self.low >= 0.0)) | ((slope < 0.0) & (self.high <= 0.0))
        return self.penalty.zero_factor(np.where(held | ~self.pulls_to_zero(len(slope)), 0.0, slope))

    def scaled(self, factor: Array) -> Bounded:
        # A factor of zero fixes the weight itself: no bound is left for u.
        divisor = np.where(factor > 0.0, factor, 1.0)
        low = np.where(factor > 0.0, self.low / divisor, -np.inf)
        high = np.where(factor > 0.0, self.high / divisor, np.inf)
        return Bounded(low, high, self.penalty.scaled(factor))

    def restricted(self, entries: npt.NDArray[np.intp]) -> Bounded:
        return Bounded(self.low[entries], self.high[entries], self.penalty.restricted(entries))
