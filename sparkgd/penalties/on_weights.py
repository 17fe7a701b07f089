"""Keeps the intercept out of a penalty's sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.penalties.base import Array, NoPenalty, Penalty


@dataclass(frozen=True, eq=False)
class OnWeights(Penalty):
    """A penalty of the first ``count`` entries of a vector, its weights; the rest are the intercepts.

    Parameters
    ----------
    penalty : Penalty
        Of the weights; never sees the intercepts.
    count : int
    intercept_penalty : Penalty
        Of the intercepts: none, or bounds.
    """

    penalty: Penalty
    count: int
    intercept_penalty: Penalty = NoPenalty()

    @property
    def is_smooth(self) -> bool:
        return self.penalty.is_smooth and self.intercept_penalty.is_smooth

    @property
    def is_piecewise(self) -> bool:
        return self.penalty.is_piecewise and self.intercept_penalty.is_piecewise

    def smooth_value(self, weights: Array) -> float:
        own, rest = self._parts(weights)
        return self.penalty.smooth_value(own) + self.intercept_penalty.smooth_value(rest)

    def smooth_gradient(self, weights: Array) -> Array:
        own, rest = self._parts(weights)
        return np.concatenate([self.penalty.smooth_gradient(own), self.intercept_penalty.smooth_gradient(rest)])

    def smooth_curvature(self, count: int) -> Array:
        rest = self.intercept_penalty.smooth_curvature(count - self.count)
        return np.concatenate([self.penalty.smooth_curvature(self.count), rest])

    def rough_value(self, weights: Array) -> float:
        own, rest = self._parts(weights)
        return self.penalty.rough_value(own) + self.intercept_penalty.rough_value(rest)

    def prox(self, weights: Array, step: float | Array) -> Array:
        if self.is_smooth:
            return weights
        own, rest = self._parts(weights)
        steps = (step, step) if np.ndim(step) == 0 else self._parts(np.asarray(step))
        return np.concatenate([self.penalty.prox(own, steps[0]), self.intercept_penalty.prox(rest, steps[1])])

    def project(self, weights: Array) -> Array:
        own, rest = self._parts(weights)
        return np.concatenate([self.penalty.project(own), self.intercept_penalty.project(rest)])

    def slopes(self, weights: Array) -> tuple[Array, Array]:
        own, rest = self._parts(weights)
        return self._joined(self.penalty.slopes(own), self.intercept_penalty.slopes(rest))

    def piece(self, weights: Array, direction: Array) -> tuple[Array, Array]:
        (own, rest), (along, rest_along) = self._parts(weights), self._parts(direction)
        return self._joined(self.penalty.piece(own, along), self.intercept_penalty.piece(rest, rest_along))

    def pulls_to_zero(self, count: int) -> npt.NDArray[np.bool_]:
        rest = self.intercept_penalty.pulls_to_zero(count - self.count)
        return np.concatenate([self.penalty.pulls_to_zero(self.count), rest])

    def zero_factor(self, slope: Array) -> float:
        own, rest = self._parts(slope)
        return max(self.penalty.zero_factor(own), self.intercept_penalty.zero_factor(rest))

    def scaled(self, factor: Array) -> OnWeights:
        own, rest = self._parts(factor)
        return OnWeights(self.penalty.scaled(own), self.count, self.intercept_penalty.scaled(rest))

    def restricted(self, entries: npt.NDArray[np.intp]) -> OnWeights:
        own, rest = entries[entries < self.count], entries[entries >= self.count] - self.count
        return OnWeights(self.penalty.restricted(own), len(own), self.intercept_penalty.restricted(rest))

    def allowed_scale(self, scale: Array) -> Array:
        own, rest = self._parts(scale)
        return np.concatenate([self.penalty.allowed_scale(own), self.intercept_penalty.allowed_scale(rest)])

    def _parts(self, values: Array) -> tuple[Array, Array]:
        return values[: self.count], values[self.count :]

    @staticmethod
    def _joined(own: tuple[Array, Array], rest: tuple[Array, Array]) -> tuple[Array, Array]:
        return np.concatenate([own[0], rest[0]]), np.concatenate([own[1], rest[1]])
