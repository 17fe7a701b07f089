"""From Arrow batches to NumPy rows. Plain functions of batches, so they are tested without Spark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkgd.kernels.block import Block
from sparkgd.kernels.features import CsrFeatures, DenseFeatures, Features

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

FEATURES, INDICES, LABEL, WEIGHT, OFFSET, FOLD = "features", "indices", "label", "weight", "offset", "fold"
"""Column names of the batches that ingest sends.

``features`` are lists of values. Of a sparse vector ``indices`` lists the columns of these, and then its size; it is
empty for a dense one. (A column of its own for the size costs a tenth of the whole transfer, though mostly null.)
"""


@dataclass(frozen=True)
class RowBatch:
    """Rows of one Arrow batch.

    A row whose ``value_counts`` equals its ``size`` and that has no indices is dense; any other is sparse.

    Attributes
    ----------
    values : ndarray
        Stored feature values of all rows, row after row.
    indices : ndarray of int32
        Columns of the values of the sparse rows.
    value_counts, index_counts, sizes : ndarray (n,) of int64
        Stored values, indices and vector length of each row.
    label, weight : ndarray (n,)
    offset, fold : ndarray (n,) or None
    nulls : dict of str to int
        Rows dropped, by the column that was null.
    """

    values: Array
    indices: npt.NDArray[np.int32]
    value_counts: Counts
    index_counts: Counts
    sizes: Counts
    label: Array
    weight: Array
    offset: Array | None
    fold: npt.NDArray[np.uint8] | None
    nulls: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.label)

    @property
    def dense_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows are dense."""
        return np.asarray((self.value_counts == self.sizes) & (self.index_counts == 0))

    def block(self, dense: bool, dtype: np.dtype[Any]) -> Block:
        """The rows, which must have one size, with features of the storage type."""
        features: Features
        if dense:
            features = DenseFeatures(self.dense().astype(dtype, copy=False))
        else:
            starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.value_counts)])
            values = self.values.astype(dtype, copy=False)
            features = CsrFeatures(values, self.column_indices(), starts, int(self.sizes[0]))
        return Block(features, self.label, self.weight, self.offset, self.fold)

    def column_indices(self) -> npt.NDArray[np.int32]:
        """Column of every stored value."""
        starts = np.cumsum(self.value_counts) - self.value_counts
        columns = np.arange(len(self.values), dtype=np.int32) - np.repeat(starts, self.value_counts).astype(np.int32)
        sparse = np.repeat(~self.dense_rows, self.value_counts)
        columns[sparse] = self.indices
        return columns

    def dense(self) -> Array:
        """The rows as a matrix of shape (n, size); all rows must have one size."""
        width = int(self.sizes[0])
        if self.dense_rows.all():
            return self.values.reshape(self.rows, width)
        matrix = np.zeros((self.rows, width))
        matrix[np.repeat(np.arange(self.rows), self.value_counts), self.column_indices()] = self.values
        return matrix


def read_batch(batch: pa.RecordBatch) -> RowBatch:
    """NumPy views (copies where Arrow has nulls) of a batch's columns; rows with a null are dropped and counted."""
    batch, nulls = _without_nulls(batch)
    features = batch.column(FEATURES)
    values = _numbers(features.flatten())
    value_counts = _list_lengths(features)
    names = batch.schema.names
    if INDICES in names:
        indices, index_counts, sizes = _split_sizes(batch.column(INDICES), value_counts)
    else:
        indices, index_counts, sizes = np.zeros(0, dtype=np.int32), np.zeros_like(value_counts), value_counts
    return RowBatch(
        values=values,
        indices=indices,
        value_counts=value_counts,
        index_counts=index_counts,
        sizes=sizes,
        label=_numbers(batch.column(LABEL)),
        weight=_numbers(batch.column(WEIGHT)) if WEIGHT in names else np.ones(batch.num_rows),
        offset=_numbers(batch.column(OFFSET)) if OFFSET in names else None,
        fold=_numbers(batch.column(FOLD)).astype(np.uint8) if FOLD in names else None,
        nulls=nulls,
    )


def _split_sizes(column: Any, value_counts: Counts) -> tuple[npt.NDArray[np.int32], Counts, Counts]:
    """Indices, their counts and the sizes of the vectors, of which a dense one is as long as its values."""
    numbers = column.flatten().to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    counts = _list_lengths(column)
    sparse = counts > 0
    last = np.cumsum(counts)[sparse] - 1
    sizes = value_counts.copy()
    sizes[sparse] = numbers[last]
    return np.delete(numbers, last), counts - sparse, sizes


def _without_nulls(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, int]]:
    required = [name for name in batch.schema.names if name != INDICES]
    nulls = {name: count for name in required if (count := batch.column(name).null_count)}
    if nulls:
        keep = np.ones(batch.num_rows, dtype=bool)
        for name in nulls:
            keep &= batch.column(name).is_valid().to_numpy(zero_copy_only=False)
        batch = batch.filter(pa.array(keep))
    return batch, nulls


def _numbers(column: Any) -> Array:
    """Float64 values; nulls (such as a null inside an array) become NaN, which the data checks then report."""
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _list_lengths(column: Any) -> Counts:
    return np.asarray(np.diff(column.offsets.to_numpy()), dtype=np.int64)
