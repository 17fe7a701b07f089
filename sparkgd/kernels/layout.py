"""The one place that knows how weights and intercepts are packed in a flat vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CoefLayout:
    """``coef = [weights row by row (num_outputs x num_features), intercepts (num_outputs) if fit_intercept]``.

    All methods accept leading axes, so one call unpacks many coefs at once.
    """

    num_features: int
    num_outputs: int = 1
    fit_intercept: bool = True

    @property
    def size(self) -> int:
        """Length of a coef."""
        return self.num_outputs * (self.num_features + int(self.fit_intercept))

    def weights(self, coef: Array) -> Array:
        """View of shape ``(..., num_outputs, num_features)``."""
        stop = self.num_outputs * self.num_features
        return coef[..., :stop].reshape(*coef.shape[:-1], self.num_outputs, self.num_features)

    def intercepts(self, coef: Array) -> Array:
        """Intercepts of shape ``(..., num_outputs)``: zeros where none is fitted."""
        if not self.fit_intercept:
            return np.zeros((*coef.shape[:-1], self.num_outputs))
        return coef[..., self.num_outputs * self.num_features :]

    def pack(self, weights: Array, intercepts: Array) -> Array:
        """Inverse of `weights` and `intercepts`; the intercepts are dropped where none is fitted."""
        flat = weights.reshape(*weights.shape[:-2], self.num_outputs * self.num_features)
        if not self.fit_intercept:
            return np.array(flat)
        return np.concatenate([flat, intercepts], axis=-1)
