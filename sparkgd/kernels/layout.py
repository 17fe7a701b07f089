"""The one place that knows how weights and intercepts are packed in a flat vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.sums import Entries

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CoefLayout:
    """``coef = [weights row by row (num_linear x num_features), intercepts (num_intercepts)]``.

    The last ``num_scalars`` outputs, scales that are positive, are the same for all rows: they have no weights, and
    always an intercept. To everyone else they look like outputs whose weights are zero. All methods accept leading
    axes, so one call unpacks many coefs at once.
    """

    num_features: int
    num_outputs: int = 1
    fit_intercept: bool = True
    num_scalars: int = 0

    @property
    def num_linear(self) -> int:
        """Outputs that depend on the features."""
        return self.num_outputs - self.num_scalars

    @property
    def num_weights(self) -> int:
        """Weights in a coef."""
        return self.num_linear * self.num_features

    @property
    def num_intercepts(self) -> int:
        """Intercepts in a coef, those of the last outputs."""
        return self.num_outputs if self.fit_intercept else self.num_scalars

    @property
    def size(self) -> int:
        """Length of a coef."""
        return self.num_weights + self.num_intercepts

    def columns_of(self, entries: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """The features, ascending, that some entries of a coef belong to."""
        return np.unique(entries[entries < self.num_weights] % self.num_features)

    def restricted(self, columns: npt.NDArray[np.integer]) -> tuple[CoefLayout, Entries]:
        """The layout for some of the features alone, and which entries of a coef remain in it."""
        starts = np.arange(self.num_linear) * self.num_features
        kept = (starts[:, None] + columns).reshape(-1), np.arange(self.num_weights, self.size)
        numbers = np.concatenate(kept)
        short = numbers.astype(np.int32) if self.size < 1 << 31 else numbers
        return replace(self, num_features=len(columns)), Entries(short, self.size)

    def weights(self, coef: Array) -> Array:
        """Weights of shape ``(..., num_outputs, num_features)``: a view, unless there are scalars."""
        leading = coef.shape[:-1]
        weights = coef[..., : self.num_weights].reshape(*leading, self.num_linear, self.num_features)
        if not self.num_scalars:
            return weights
        return np.concatenate([weights, np.zeros((*leading, self.num_scalars, self.num_features))], axis=-2)

    def intercepts(self, coef: Array) -> Array:
        """Intercepts of shape ``(..., num_outputs)``: zeros where none is fitted."""
        fitted = coef[..., self.num_weights :]
        if self.num_intercepts == self.num_outputs:
            return fitted
        missing = self.num_outputs - self.num_intercepts
        return np.concatenate([np.zeros((*coef.shape[:-1], missing)), fitted], axis=-1)

    def pack(self, weights: Array, intercepts: Array) -> Array:
        """Inverse of `weights` and `intercepts`; what is not fitted is dropped."""
        linear = weights[..., : self.num_linear, :]
        flat = linear.reshape(*weights.shape[:-2], self.num_weights)
        return np.concatenate([flat, intercepts[..., self.num_outputs - self.num_intercepts :]], axis=-1)
