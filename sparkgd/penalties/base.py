"""What a penalty is: a convex function of the weights, a smooth part plus a rough part.

Notation: ``w`` the flat weights (all outputs, no intercept). The smooth part enters value, gradient and curvature; the
rough part is handled by its proximal operator. Either may be zero.

Most rough parts are *piecewise linear*, weight by weight: L1 has a kink at zero, bounds have walls. Such a penalty
also gives its one-sided derivatives (`slopes`) and its linear pieces (`piece`); all that quasi-Newton and proximal
Newton methods need follows from these two.
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
    is_piecewise : bool
        Whether the rough part is a sum of piecewise linear functions of single weights, so that `slopes` and `piece`
        describe it.
    """

    @property
    def is_smooth(self) -> bool:
        return True

    @property
    def is_piecewise(self) -> bool:
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
        """``argmin_v rough_value(v) + sum (v - w)^2 / (2 step)``; ``step`` may differ by weight if piecewise."""
        return weights

    def project(self, weights: Array) -> Array:
        """Nearest point of the rough part's domain."""
        return weights

    def slopes(self, weights: Array) -> tuple[Array, Array]:
        """Left and right derivative of the rough part by each weight; infinite where a wall stands."""
        zeros = np.zeros_like(weights)
        return zeros, zeros

    def piece(self, weights: Array, direction: Array) -> tuple[Array, Array]:
        """Ends of the linear piece that each weight is on, or steps onto along ``direction`` from a kink."""
        everything = np.full_like(weights, np.inf)
        return -everything, everything

    def scaled(self, factor: Array) -> Penalty:
        """The penalty as a function of u where ``w = factor * u``, ``factor >= 0``, of the rough part only.

        Solvers work in rescaled coordinates; the smooth part is always evaluated at w itself.
        """
        return self

    def restricted(self, entries: npt.NDArray[np.intp]) -> Penalty:
        """The rough part's share of some weights, ascending, as a penalty of these; for piecewise penalties."""
        return self

    def allowed_scale(self, scale: Array) -> Array:
        """The scale nearest to ``scale``, shape ``(n,)``, in whose coordinates `scaled` has a prox."""
        return scale

    def conjugate(self, slope: Array) -> float:
        """``sup_w slope . w - value(w)``; infinite, which never proves anything wrong, where it is not known."""
        return 0.0 if not np.any(slope) else np.inf

    def share_within(self, slope: Array) -> float:
        """A share t in [0, 1] of ``slope``, the larger the better, at which `conjugate` is finite."""
        return 0.0 if np.any(slope) else 1.0

    def pulls_to_zero(self, count: int) -> npt.NDArray[np.bool_]:
        """Which weights (count,) the rough part holds at zero if it is strong enough."""
        return np.zeros(count, dtype=bool)

    def zero_factor(self, slope: Array) -> float:
        """The least factor of the rough part at which all weights that it pulls to zero stay there.

        ``slope`` (n,) is the loss's gradient where they are zero.
        """
        return 0.0

    def value(self, weights: Array) -> float:
        """Smooth and rough part together."""
        return self.smooth_value(weights) + self.rough_value(weights)


class NoPenalty(Penalty):
    """Zero."""
