"""L1, L2 and their mixture, with one weight for each column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.penalties.base import Array, Penalty


@dataclass(frozen=True, eq=False)
class ElasticNet(Penalty):
    """``sum_j l1_j |w_j| + l2_j w_j^2 / 2`` (Zou and Hastie, 2005).

    Parameters
    ----------
    l1, l2 : ndarray (n,)
        Non-negative strengths by weight; 0 leaves a weight unpenalised.
    """

    l1: Array
    l2: Array

    @property
    def is_smooth(self) -> bool:
        return not np.any(self.l1)

    def smooth_value(self, weights: Array) -> float:
        return 0.5 * float(np.dot(self.l2, weights * weights))

    def smooth_gradient(self, weights: Array) -> Array:
        return self.l2 * weights

    def smooth_curvature(self, count: int) -> Array:
        return np.broadcast_to(self.l2, (count,)).copy()

    def rough_value(self, weights: Array) -> float:
        return float(np.dot(self.l1, np.abs(weights)))

    def prox(self, weights: Array, step: float | Array) -> Array:
        return np.sign(weights) * np.maximum(np.abs(weights) - step * self.l1, 0.0)

    def slopes(self, weights: Array) -> tuple[Array, Array]:
        side = np.sign(weights)
        return self.l1 * np.where(side > 0.0, 1.0, -1.0), self.l1 * np.where(side < 0.0, -1.0, 1.0)

    def piece(self, weights: Array, direction: Array) -> tuple[Array, Array]:
        side = np.where(weights != 0.0, np.sign(weights), np.sign(direction))
        low = np.where((self.l1 == 0.0) | (side < 0.0), -np.inf, 0.0)
        high = np.where((self.l1 == 0.0) | (side > 0.0), np.inf, 0.0)
        return low, high

    def conjugate(self, slope: Array) -> float:
        excess = np.maximum(np.abs(slope) - self.l1, 0.0)
        if np.any(excess[self.l2 == 0.0]):
            return np.inf
        return 0.5 * float(np.sum(excess * excess / np.where(self.l2 > 0.0, self.l2, 1.0)))

    def share_within(self, slope: Array) -> float:
        outside = (self.l2 == 0.0) & (np.abs(slope) > self.l1)
        if not outside.any():
            return 1.0
        share = float(np.min(self.l1[outside] / np.abs(slope[outside])))
        return share * (1.0 - 1e-15)  # rounding must not carry the product above l1 again

    def pulls_to_zero(self, count: int) -> npt.NDArray[np.bool_]:
        return np.broadcast_to(self.l1 > 0.0, (count,)).copy()

    def zero_factor(self, slope: Array) -> float:
        pulled = self.l1 > 0.0
        return float(np.max(np.abs(slope[pulled]) / self.l1[pulled], initial=0.0))

    def scaled(self, factor: Array) -> ElasticNet:
        return ElasticNet(self.l1 * factor, np.zeros_like(self.l2))

    def restricted(self, entries: npt.NDArray[np.intp]) -> ElasticNet:
        return ElasticNet(self.l1[entries], self.l2[entries])


def elastic_net(strength: float, mix: float, scale: Array) -> ElasticNet:
    """``strength * [mix * sum s_j |w_j| + (1 - mix)/2 * sum s_j^2 w_j^2]`` with s = ``scale``, as MLlib defines it."""
    return ElasticNet(strength * mix * scale, strength * (1.0 - mix) * scale * scale)
