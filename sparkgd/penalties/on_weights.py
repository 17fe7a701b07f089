"""Keeps the intercept out of a penalty's sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparkgd.penalties.base import Array, Penalty


@dataclass(frozen=True, eq=False)
class OnWeights(Penalty):
    """A penalty of the first ``count`` entries of a vector, its weights; the rest, the intercepts, is free."""

    penalty: Penalty
    count: int

    @property
    def is_smooth(self) -> bool:
        return self.penalty.is_smooth

    def smooth_value(self, weights: Array) -> float:
        return self.penalty.smooth_value(weights[: self.count])

    def smooth_gradient(self, weights: Array) -> Array:
        return self._extended(self.penalty.smooth_gradient(weights[: self.count]), weights.shape[0], 0.0)

    def smooth_curvature(self, count: int) -> Array:
        return self._extended(self.penalty.smooth_curvature(self.count), count, 0.0)

    def rough_value(self, weights: Array) -> float:
        return self.penalty.rough_value(weights[: self.count])

    def prox(self, weights: Array, step: float | Array) -> Array:
        if self.penalty.is_smooth:
            return weights
        inner = step if isinstance(step, float) else np.asarray(step)[: self.count]
        return np.concatenate([self.penalty.prox(weights[: self.count], inner), weights[self.count :]])

    def scaled(self, factor: Array) -> OnWeights:
        return OnWeights(self.penalty.scaled(factor[: self.count]), self.count)

    @staticmethod
    def _extended(values: Array, length: int, fill: float) -> Array:
        return np.concatenate([values, np.full(length - len(values), fill)])
