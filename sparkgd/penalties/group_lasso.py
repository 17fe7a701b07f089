"""Group lasso: whole groups of weights are zero or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.penalties.base import Array, Penalty


@dataclass(frozen=True, eq=False)
class GroupLasso(Penalty):
    """``sum_g strength_g * norm(s_j w_j for j in group g)`` (Yuan and Lin, 2006).

    Its prox has a closed form only where all weights of a group have the same s; `allowed_scale` sees to that.

    Parameters
    ----------
    group : ndarray (n,) of int
        Number of each weight's group; -1 leaves a weight unpenalised.
    strength : ndarray (G,)
        Non-negative strength by group; usually a constant times the square root of the group's size.
    scale : ndarray (n,)
        Positive s by weight (1, or the columns' standard deviations); 0 for a weight that is fixed at zero.
    """

    group: npt.NDArray[np.intp]
    strength: Array
    scale: Array

    @property
    def is_smooth(self) -> bool:
        return not np.any(self.strength[self.group[self._grouped]])

    @property
    def is_piecewise(self) -> bool:
        return self.is_smooth

    def rough_value(self, weights: Array) -> float:
        return float(self.strength @ self._norms(self.scale * weights))

    def prox(self, weights: Array, step: float | Array) -> Array:
        scale, norms = self._group_scale(), self._norms(np.where(self.scale > 0.0, weights, 0.0))
        threshold = step * self.strength * scale
        kept = np.maximum(norms - threshold, 0.0) / np.where(norms > 0.0, norms, 1.0)
        return np.where(self._grouped & (self.scale > 0.0), kept[self.group] * weights, weights)

    def pulls_to_zero(self, count: int) -> npt.NDArray[np.bool_]:
        return np.asarray(self._grouped & (self.scale > 0.0) & (self.strength[self.group] > 0.0))

    def zero_factor(self, slope: Array) -> float:
        pulled = self.pulls_to_zero(len(slope))
        norms = self._norms(np.where(pulled, slope, 0.0) / np.where(pulled, self.scale, 1.0))
        return float(np.max(norms / np.where(self.strength > 0.0, self.strength, np.inf), initial=0.0))

    def scaled(self, factor: Array) -> GroupLasso:
        return GroupLasso(self.group, self.strength, self.scale * factor)

    def allowed_scale(self, scale: Array) -> Array:
        # The geometric mean of (s * scale) in each group, seen from the weights again.
        seen = self.scale * scale
        used = self._grouped & (seen > 0.0)
        counts = np.bincount(self.group[used], minlength=len(self.strength))
        logs = np.bincount(self.group[used], weights=np.log(seen[used]), minlength=len(self.strength))
        mean = np.exp(logs / np.maximum(counts, 1))
        return np.where(used, mean[self.group] / np.where(used, self.scale, 1.0), scale)

    @property
    def _grouped(self) -> npt.NDArray[np.bool_]:
        return self.group >= 0

    def _norms(self, values: Array) -> Array:
        squares = np.square(values[self._grouped])
        return np.sqrt(np.bincount(self.group[self._grouped], weights=squares, minlength=len(self.strength)))

    def _group_scale(self) -> Array:
        """The one scale of each group's weights."""
        used = self._grouped & (self.scale > 0.0)
        scale = np.zeros(len(self.strength))
        scale[self.group[used]] = self.scale[used]
        if not np.allclose(scale[self.group[used]], self.scale[used], rtol=1e-9, atol=0.0):
            raise ValueError("the prox of a group lasso needs one scale for each group: use `allowed_scale`")
        return scale


def group_lasso(strength: float, columns: npt.NDArray[np.intp], scale: Array, num_outputs: int = 1) -> GroupLasso:
    """A group lasso over columns, each group weighted by the square root of its size.

    Parameters
    ----------
    strength : float
    columns : ndarray (p,) of int
        Number of each column's group, from 0; -1 leaves a column unpenalised.
    scale : ndarray (p,)
        s of each column.
    num_outputs : int
        The weights of all outputs of a column are in the same group.
    """
    group = np.tile(np.asarray(columns, dtype=np.intp), num_outputs)
    sizes = np.bincount(group[group >= 0], minlength=1)
    return GroupLasso(group, strength * np.sqrt(sizes), np.tile(np.asarray(scale, dtype=np.float64), num_outputs))
