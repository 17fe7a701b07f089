"""Feature matrices of very many columns, of which a block touches few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.features import CsrFeatures, spread

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WideFeatures:
    """Few columns of very many: ``inside`` holds the ``columns`` that store anything, all others are zero.

    Sums over the rows then are as long as those columns, in memory and on their way to the driver; the methods here
    return results of full width for those who do not care.
    """

    inside: CsrFeatures
    columns: npt.NDArray[np.int32]
    width: int

    @property
    def rows(self) -> int:
        return self.inside.rows

    @property
    def num_features(self) -> int:
        return self.width

    @property
    def stored(self) -> int:
        return self.inside.stored

    def narrow(self) -> CsrFeatures:
        return self.inside

    def csr(self) -> CsrFeatures:
        """The same matrix with the numbers of its columns for indices, copied."""
        inside = self.inside
        return CsrFeatures(inside.values, self.columns[np.asarray(inside.indices)], inside.indptr, self.width)

    def chunk_rows(self) -> int:
        return self.inside.chunk_rows()

    def slice(self, start: int, stop: int) -> WideFeatures:
        return WideFeatures(self.inside.slice(start, stop), self.columns, self.width)

    def take(self, rows: npt.NDArray[np.intp]) -> WideFeatures:
        return WideFeatures(self.inside.take(rows), self.columns, self.width)

    def among(self, columns: npt.NDArray[np.intp]) -> CsrFeatures:
        return self.csr().among(columns)

    def dot(self, weights: Array) -> Array:
        return self.inside.dot(weights[self.columns])

    def transpose_dot(self, multipliers: Array) -> Array:
        return self._spread(self.inside.transpose_dot(multipliers))

    def squared(self) -> WideFeatures:
        return WideFeatures(self.inside.squared(), self.columns, self.width)

    def dense(self) -> Array:
        return self._spread(self.inside.dense())

    def column_sums(self, weight: Array) -> tuple[Array, Array]:
        total, squares = self.inside.column_sums(weight)
        return self._spread(total), self._spread(squares)

    def column_support(self, weight: Array) -> Array:
        return self._spread(self.inside.column_support(weight))

    def not_finite(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        rows, columns = self.inside.not_finite()
        return rows, self.columns[columns].astype(np.intp)

    def _spread(self, values: Array) -> Array:
        return spread(values, self.columns, self.width)
