"""What a penalty is: a convex function of the weights, a smooth part plus a rough part.

Notation: ``w`` the flat weights (all outputs, no intercept). The smooth part enters value, gradient and curvature; the
rough part is handled by its proximal operator. Either may be zero.
"""

from __future__ import annotations

from abc import ABC
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


class Penalty(ABC):
    """A penalty on the weights; the default is no penalty at all.

    Attributes
    ----------
    is_smooth : bool
        Whether the rough part is zero.
    """

    @property
    def is_smooth(self) -> bool:
        return True

    def smooth_value(self, weights: Array) -> float:
        """Value of the smooth part at weights of shape ``(n,)``."""
        return 0.0

    def smooth_gradient(self, weights: Array) -> Array:
        """Gradient of the smooth part, shape ``(n,)``."""
        return np.zeros_like(weights)

    def smooth_curvature(self, count: int) -> Array:
        """Diagonal of the smooth part's (constant) Hessian, shape ``(count,)``."""
        return np.zeros(count)

    def rough_value(self, weights: Array) -> float:
        """Value of the rough part; infinite outside its domain."""
        return 0.0

    def prox(self, weights: Array, step: float | Array) -> Array:
        """``argmin_v rough_value(v) + sum (v - w)^2 / (2 step)``; ``step`` may differ by coordinate if separable."""
        return weights

    def scaled(self, factor: Array) -> Penalty:
        """The penalty as a function of u where ``w = factor * u``, of the rough part only.

        Solvers work in rescaled coordinates; the smooth part is always evaluated at w itself.
        """
        return self

    def value(self, weights: Array) -> float:
        """Smooth and rough part together."""
        return self.smooth_value(weights) + self.rough_value(weights)


class NoPenalty(Penalty):
    """Zero."""
