"""Feature matrices: the few products that training needs, dense and CSR, in row chunks that fit the CPU's cache.

A dense block read chunk by chunk is read from memory once for raw predictions and gradient together; that, not
arithmetic, bounds a round over large data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[np.float64]

CHUNK_BYTES = 1 << 20
"""Size of a dense row chunk as float64: the chunk and the few vectors beside it stay in a core's L2 cache."""

SPARSE_CHUNK = 1 << 18
"""Stored entries of a CSR row chunk."""

WORTH_NAMING = 0.5
"""Share of columns up to which naming them, and being silent about the others, is shorter than a dense vector."""


class Stored(Protocol):
    """Where features get their values from: an array, or a file that is read slice by slice."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, rows: Any, /) -> npt.NDArray[Any]: ...
    def __array__(self) -> npt.NDArray[Any]: ...


class Features(Protocol):
    """A read-only matrix of ``rows x num_features``; results are float64 whatever the storage."""

    @property
    def rows(self) -> int: ...
    @property
    def num_features(self) -> int: ...
    @property
    def stored(self) -> int:
        """Number of stored entries: the cost of one pass."""
        ...

    def chunk_rows(self) -> int:
        """How many rows to take at a time."""
        ...

    def slice(self, start: int, stop: int) -> Features:
        """Rows ``start`` to ``stop`` as a view."""
        ...

    def take(self, rows: npt.NDArray[np.intp]) -> Features:
        """The given rows, copied."""
        ...

    def among(self, columns: npt.NDArray[np.intp]) -> Features:
        """The given columns, ascending, copied."""
        ...

    def dot(self, weights: Array) -> Array:
        """``X w`` of shape (rows,) for a vector, (rows, q) for a matrix of shape (num_features, q)."""
        ...

    def transpose_dot(self, multipliers: Array) -> Array:
        """``X^T d`` of shape (num_features,), or (q, num_features) for a matrix of shape (rows, q)."""
        ...

    def squared(self) -> Features:
        """The matrix of the squares of all values."""
        ...

    def dense(self) -> Array:
        """The matrix as a dense float64 array: only for chunks of few columns."""
        ...

    def column_sums(self, weight: Array) -> tuple[Array, Array]:
        """Weighted sum of each column, and its weighted sum of squares about the column's mean."""
        ...

    def column_support(self, weight: Array) -> Array:
        """Weight of the rows whose value is not zero, column by column."""
        ...

    def not_finite(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Rows and columns that hold a NaN or an infinite value, each named once."""
        ...

    @property
    def columns(self) -> npt.NDArray[np.int32] | None:
        """The columns that store anything, ascending, where they are few enough to be worth a name; else None."""
        ...

    def narrow(self) -> Features:
        """The matrix of those `columns` alone; the matrix itself where they are None."""
        ...


@dataclass(frozen=True, slots=True)
class DenseFeatures:
    """A C-ordered array of float64 or float32."""

    values: Stored

    @property
    def columns(self) -> None:
        return None

    def narrow(self) -> DenseFeatures:
        return self

    @property
    def rows(self) -> int:
        return int(self.values.shape[0])

    @property
    def num_features(self) -> int:
        return int(self.values.shape[1])

    @property
    def stored(self) -> int:
        return self.rows * self.num_features

    def chunk_rows(self) -> int:
        return dense_chunk_rows(self.num_features)

    def slice(self, start: int, stop: int) -> DenseFeatures:
        return DenseFeatures(np.asarray(self.values[start:stop], dtype=np.float64))

    def take(self, rows: npt.NDArray[np.intp]) -> DenseFeatures:
        return DenseFeatures(np.asarray(self.values[rows], dtype=np.float64))

    def among(self, columns: npt.NDArray[np.intp]) -> DenseFeatures:
        return DenseFeatures(np.asarray(np.asarray(self.values)[:, columns], dtype=np.float64))

    def dot(self, weights: Array) -> Array:
        return np.asarray(np.asarray(self.values) @ weights, dtype=np.float64)

    def transpose_dot(self, multipliers: Array) -> Array:
        return np.asarray(multipliers.T @ np.asarray(self.values), dtype=np.float64)

    def squared(self) -> DenseFeatures:
        return DenseFeatures(np.square(self.dense()))

    def dense(self) -> Array:
        return np.asarray(self.values, dtype=np.float64)

    def column_sums(self, weight: Array) -> tuple[Array, Array]:
        values = self.dense()
        total = weight @ values
        mean = total / max(float(weight.sum()), np.finfo(float).tiny)
        centred = values - mean
        np.square(centred, out=centred)
        return total, weight @ centred

    def column_support(self, weight: Array) -> Array:
        held = np.asarray(self.values) != 0.0
        if held.all():  # mostly so, and a quarter of the product's time
            return np.full(self.num_features, weight.sum())
        return np.asarray(weight @ held, dtype=np.float64)

    def not_finite(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        bad = ~np.isfinite(np.asarray(self.values))
        return np.flatnonzero(bad.any(axis=1)), np.flatnonzero(bad.any(axis=0))


@dataclass(frozen=True, slots=True)
class CsrFeatures:
    """Compressed sparse rows: ``values[indptr[i]:indptr[i+1]]`` at columns ``indices[...]`` make row i."""

    values: Stored
    indices: Stored
    indptr: npt.NDArray[np.int64]
    width: int

    @property
    def columns(self) -> None:
        return None

    def narrow(self) -> CsrFeatures:
        return self

    @property
    def rows(self) -> int:
        return int(self.indptr.shape[0]) - 1

    @property
    def num_features(self) -> int:
        return self.width

    @property
    def stored(self) -> int:
        return int(self.indptr[-1] - self.indptr[0])

    def chunk_rows(self) -> int:
        # A chunk also costs one dense result of `width`, so wide data takes larger chunks.
        entries = max(SPARSE_CHUNK, 8 * self.width)
        return max(int(entries / max(self.stored / max(self.rows, 1), 1.0)), 1)

    def slice(self, start: int, stop: int) -> CsrFeatures:
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        return CsrFeatures(
            np.asarray(self.values[first:last], dtype=np.float64),
            self.indices[first:last],
            self.indptr[start : stop + 1] - first,
            self.width,
        )

    def take(self, rows: npt.NDArray[np.intp]) -> CsrFeatures:
        taken = self._matrix()[rows]
        values, indices = np.asarray(taken.data, dtype=np.float64), taken.indices.astype(np.int32, copy=False)
        return CsrFeatures(values, indices, taken.indptr.astype(np.int64, copy=False), self.width)

    def among(self, columns: npt.NDArray[np.intp]) -> CsrFeatures:
        numbers = np.full(self.width, -1, dtype=np.int32)
        numbers[columns] = np.arange(len(columns), dtype=np.int32)
        indices = numbers[np.asarray(self.indices)]
        kept = np.flatnonzero(indices >= 0)
        starts = np.searchsorted(kept, self.indptr - self.indptr[0])
        return CsrFeatures(np.asarray(self.values)[kept], indices[kept], starts.astype(np.int64), len(columns))

    def dot(self, weights: Array) -> Array:
        return np.asarray(self._matrix() @ weights, dtype=np.float64)

    def transpose_dot(self, multipliers: Array) -> Array:
        return np.asarray((self._matrix().T @ multipliers).T, dtype=np.float64)

    def squared(self) -> CsrFeatures:
        squares = np.square(np.asarray(self.values, dtype=np.float64))
        return CsrFeatures(squares, self.indices, self.indptr, self.width)

    def dense(self) -> Array:
        return np.asarray(self._matrix().toarray(), dtype=np.float64)

    def column_sums(self, weight: Array) -> tuple[Array, Array]:
        row_weight = np.repeat(weight, np.diff(self.indptr))
        values = np.asarray(self.values, dtype=np.float64)
        total = self._bincount(row_weight * values)
        weight_sum = float(weight.sum())
        mean = total / max(weight_sum, np.finfo(float).tiny)
        stored_weight = self._bincount(row_weight)
        squares = self._bincount(row_weight * np.square(values - mean[np.asarray(self.indices)]))
        return total, squares + np.maximum(weight_sum - stored_weight, 0.0) * np.square(mean)

    def column_support(self, weight: Array) -> Array:
        return self._bincount(np.repeat(weight, np.diff(self.indptr)) * (np.asarray(self.values) != 0.0))

    def not_finite(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        bad = np.flatnonzero(~np.isfinite(np.asarray(self.values)))
        rows = np.searchsorted(self.indptr, bad, side="right") - 1
        return np.unique(rows), np.unique(np.asarray(self.indices)[bad]).astype(np.intp)

    def _bincount(self, values: Array) -> Array:
        return np.asarray(np.bincount(np.asarray(self.indices), weights=values, minlength=self.width), dtype=np.float64)

    def _matrix(self) -> sparse.csr_array:
        return sparse.csr_array(
            (np.asarray(self.values), np.asarray(self.indices), self.indptr), shape=(self.rows, self.width)
        )


def spread(values: Array, places: npt.NDArray[np.integer], size: int) -> Array:
    """Zeros along a last axis of length ``size``, but for ``values`` at ``places``."""
    whole = np.zeros((*values.shape[:-1], size))
    whole[..., places] = values
    return whole


def dense_chunk_rows(num_features: int) -> int:
    """Rows of a cache-sized chunk that is, or is made, dense."""
    return max(CHUNK_BYTES // (8 * max(num_features, 1)), 16)


def row_ranges(features: Features, step: int) -> Iterator[tuple[int, int]]:
    """Start and stop of row chunks of ``step`` rows."""
    for start in range(0, features.rows, step):
        yield start, min(start + step, features.rows)
