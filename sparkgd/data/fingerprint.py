"""What tells a source that is not deterministic: the same rows, packed again, must have the same fingerprint."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.features import CsrFeatures

MODULUS = 2**64


class Fingerprint:
    """Two 64-bit sums of the values' bit patterns: the same for the same rows in any order, and in this order only.

    Integer sums do not depend on chunks. A block scanned whole may have its rows in any order; of one that is shared by
    slices, each row must stay where it was.

    Attributes
    ----------
    rows : int
        Rows added so far.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._unordered = self._ordered = 0

    def add(self, chunk: Block) -> None:
        """Add the rows that follow."""
        rows = _of_rows(chunk)
        places = np.arange(self.rows, self.rows + chunk.rows, dtype=np.uint64)
        with np.errstate(over="ignore"):
            self._unordered += int(rows.sum(dtype=np.uint64))
            self._ordered += int(np.sum(rows * (2 * places + np.uint64(1)), dtype=np.uint64))
        self.rows += chunk.rows

    @property
    def unordered(self) -> int:
        """The same for the rows in any order."""
        return (self._unordered + self.rows) % MODULUS

    @property
    def ordered(self) -> int:
        """The same for the rows in this order."""
        return (self._ordered + self.rows) % MODULUS


def _of_rows(chunk: Block) -> npt.NDArray[np.uint64]:
    """A sum for each row over its columns, each with a factor of its own."""
    features = chunk.features
    if isinstance(features, CsrFeatures):
        odd = (np.asarray(features.indices).astype(np.uint64) << np.uint64(1)) + np.uint64(1)
        products = _bits(np.asarray(features.values, dtype=np.float64)) * odd
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(products, dtype=np.uint64)])
        rows = sums[features.indptr[1:]] - sums[features.indptr[:-1]]
    else:
        odd = 2 * np.arange(features.num_features, dtype=np.uint64) + np.uint64(1)
        rows = np.einsum("ij,j->i", _bits(features.dense()), odd)
    for salt, values in ((3, chunk.label), (5, chunk.weight), (7, chunk.offset), (9, chunk.fold)):
        if values is not None:
            rows = rows + np.uint64(salt) * _bits(values.astype(np.float64, copy=False))
    return np.asarray(rows)


def _bits(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(values).view(np.uint64)
