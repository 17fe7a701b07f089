"""A block: the rows of one partition, packed in arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.features import Features, dense_chunk_rows, row_ranges

Array = npt.NDArray[np.float64]

CHUNK_RESULTS = 1 << 18
"""Results of a chunk, such as raw predictions of many models: more would spill what a scan makes of them out of the
cache, and 100 models of 10 columns take 1.7 times as long.
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one partition; the arrays are read-only and may be memory-mapped.

    Attributes
    ----------
    features : Features
        n rows, dense or CSR.
    label, weight : ndarray (n,)
        Label and sample weight.
    offset : ndarray (n,) or None
        Added to the raw prediction; None stands for zeros.
    fold : ndarray (n,) of uint8 or None
        A point with hold-out fold f trains on the rows of all other folds. None: no row is held out.
    first_row : int
        Number of this block's first row in the whole dataset, partition by partition.
    """

    features: Features
    label: Array
    weight: Array
    offset: Array | None = None
    fold: npt.NDArray[np.uint8] | None = None
    first_row: int = 0

    @property
    def rows(self) -> int:
        return self.features.rows

    def chunks(self, results: int = 1) -> Iterator[Block]:
        """The block in row chunks that fit the CPU's cache, in order, as do so many results of each row."""
        return self._chunks(min(self.features.chunk_rows(), max(CHUNK_RESULTS // results, 1)))

    def dense_chunks(self) -> Iterator[Block]:
        """The same in row chunks that still fit when their features are made dense."""
        return self._chunks(dense_chunk_rows(self.features.num_features))

    def pieces(self, rows: int) -> Iterator[Block]:
        """The same in pieces of so many rows at most."""
        return self._chunks(rows)

    def _chunks(self, step: int) -> Iterator[Block]:
        for start, stop in row_ranges(self.features, step):
            yield Block(
                self.features.slice(start, stop),
                self.label[start:stop],
                self.weight[start:stop],
                None if self.offset is None else self.offset[start:stop],
                None if self.fold is None else self.fold[start:stop],
                self.first_row + start,
            )

    def narrow(self) -> Block:
        """The block of the columns alone that its features name; see `Features.narrow`."""
        return replace(self, features=self.features.narrow())

    def among(self, columns: npt.NDArray[np.intp]) -> Block:
        """The block of some columns, ascending."""
        return replace(self, features=self.features.among(columns))

    def training_weight(self, held_out: int) -> Array:
        """Sample weights (n,), zero for the rows of fold ``held_out``; -1 holds none out."""
        if self.fold is None or held_out < 0:
            return self.weight
        return np.where(self.fold == held_out, 0.0, self.weight)

    def reweighted(self, class_weights: Array) -> Block:
        """The block with each weight multiplied by that of the row's label, an index into ``class_weights``.

        A label that is no such index is that of a row of weight zero, whose factor does not matter.
        """
        index = np.clip(self.label, 0, len(class_weights) - 1).astype(np.intp)
        return replace(self, weight=self.weight * class_weights[index])

    def take(self, rows: npt.NDArray[np.intp]) -> Block:
        """The given rows, copied."""
        return Block(
            self.features.take(rows),
            self.label[rows],
            self.weight[rows],
            None if self.offset is None else self.offset[rows],
            None if self.fold is None else self.fold[rows],
        )
