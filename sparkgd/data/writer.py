"""Packing: the rows of a partition are streamed to the files of a block, and their fingerprint is taken."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from sparkgd.data.blockfile import BlockHandle, Condensed, block_of
from sparkgd.data.columns import RowBatch
from sparkgd.data.moments import Moments, sigma_bytes
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import SPARSE_CHUNK, WORTH_NAMING, CsrFeatures, DenseFeatures

DENSE_FROM = 0.5
"""Share of stored values from which a block is dense: below it CSR is smaller."""


WIDE = 1 << 14
"""Columns from which it pays to name those that a block touches."""


def local_directory(name: str, partition: int) -> Path:
    """This executor's own directory for one fit's blocks; Spark removes the parent with the executor.

    A task that is tried again finds the same directory, so that what a killed worker left there is removed with it.
    """
    roots = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    choices = roots.split(",")
    return Path(choices[partition % len(choices)]) / name


def pack(
    batches: Iterable[RowBatch], directory: Path, dtype: str, access: str = "map", condense_bytes: int = 0
) -> BlockHandle | None:
    """Write the rows of a partition to a block of a fresh name under ``directory``; None for no rows at all.

    Dense rows are condensed to their `Moments` where these take at most ``condense_bytes``. Nothing is left behind when
    reading the batches fails.
    """
    with BlockWriter(directory / uuid.uuid4().hex, dtype, condense_bytes) as writer:
        for batch in batches:
            writer.add(batch)
        handle = writer.handle()
    if handle is None:
        return None
    handle = replace(handle, access=access)
    unordered, ordered = fingerprints(block_of(handle))
    return _narrowed(replace(handle, fingerprint=unordered, ordered_fingerprint=ordered))


def _narrowed(handle: BlockHandle) -> BlockHandle:
    """The block of a wide matrix with its columns numbered among those that it touches, if these are few."""
    if handle.dense or handle.width < WIDE or not handle.stored:
        return handle
    indices = np.memmap(Path(handle.path) / "indices", dtype=np.int32, mode="r+", shape=(handle.stored,))
    is_touched = np.zeros(handle.width, dtype=bool)
    for chunk in _chunks(indices):
        is_touched[chunk] = True
    columns = np.flatnonzero(is_touched).astype(np.int32)
    if len(columns) > WORTH_NAMING * handle.width:
        return handle
    places = np.cumsum(is_touched, dtype=np.int32)
    places -= 1
    for chunk in _chunks(indices):
        chunk[:] = places[chunk]
    columns.tofile(Path(handle.path) / "columns")
    return replace(handle, touched=len(columns))


def _chunks(indices: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.int32]]:
    """Writable views that fit the CPU's cache."""
    return (indices[start : start + SPARSE_CHUNK] for start in range(0, len(indices), SPARSE_CHUNK))


class BlockWriter:
    """Streams row batches to array files; a context manager that removes the files on failure."""

    def __init__(self, path: Path, dtype: str, condense_bytes: int = 0) -> None:
        self._path, self._dtype = path, np.dtype(dtype)
        self._condense_bytes = condense_bytes
        self._moments: Moments | None = None
        self._files: dict[str, BinaryIO] = {}
        self._rows = self._stored = 0
        self._width = -1
        self._dense = True
        self._nulls: dict[str, int] = {}
        self._ragged: set[int] = set()

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()
        if kind is not None:
            shutil.rmtree(self._path, ignore_errors=True)

    def add(self, batch: RowBatch) -> None:
        """Append the rows of a batch. The first one decides whether the block is dense."""
        for column, count in batch.nulls.items():
            self._nulls[column] = self._nulls.get(column, 0) + count
        if batch.rows == 0:
            return
        if self._width < 0:
            self._begin(batch)
        other = np.unique(batch.sizes[batch.sizes != self._width])
        if len(other):
            self._ragged.update(int(size) for size in other)
            return
        if self._moments is not None:
            rows = DenseFeatures(batch.dense())
            self._moments.add(Block(rows, batch.label, batch.weight, batch.offset, batch.fold))
            return
        self._add_features(batch)
        self._add_columns(batch)

    def handle(self) -> BlockHandle | None:
        """Handle of what was written."""
        if self._width < 0 and not self._nulls:
            return None
        condensed = None if self._moments is None else self._condensed(self._moments)
        return BlockHandle(
            path=str(self._path),
            host=socket.gethostname(),
            rows=self._rows,
            stored=self._stored,
            width=max(self._width, 0),
            dtype=self._dtype.name,
            dense=self._dense,
            extras=tuple(name for name in ("offset", "fold") if name in self._files),
            nulls=self._nulls,
            ragged=tuple(sorted(self._ragged)),
            condensed=condensed,
        )

    def _condensed(self, moments: Moments) -> Condensed:
        """Write the rows that stand for all."""
        block = moments.block()
        self._dtype = np.dtype(np.float64)  # differences of sigma points are all that there is
        self._write("values", block.features.dense())
        self._stored = block.features.stored
        self._add_columns(block)
        return Condensed(moments.rows, moments.rows * self._width, moments.statistics)

    def _begin(self, batch: RowBatch) -> None:
        self._width = int(batch.sizes[0])
        self._dense = len(batch.values) >= DENSE_FROM * batch.rows * self._width
        self._path.mkdir(parents=True)
        if self._dense and sigma_bytes(self._width) <= self._condense_bytes:
            self._moments = Moments()
        if not self._dense:
            self._write("indptr", np.zeros(1, dtype=np.int64))

    def _add_features(self, batch: RowBatch) -> None:
        if self._dense:
            matrix = batch.dense()
            self._write("values", matrix.astype(self._dtype, copy=False))
            self._stored += matrix.size
            return
        self._write("values", batch.values.astype(self._dtype, copy=False))
        self._write("indices", batch.column_indices())
        self._write("indptr", self._stored + np.cumsum(batch.value_counts))
        self._stored += len(batch.values)

    def _add_columns(self, rows: RowBatch | Block) -> None:
        self._write("label", rows.label)
        self._write("weight", rows.weight)
        if rows.offset is not None:
            self._write("offset", rows.offset)
        if rows.fold is not None:
            self._write("fold", rows.fold)
        self._rows += rows.rows

    def _write(self, name: str, values: npt.NDArray[np.generic]) -> None:
        if name not in self._files:
            self._files[name] = open(self._path / name, "wb")  # noqa: SIM115 - closed in __exit__
        np.ascontiguousarray(values).tofile(self._files[name])


def fingerprints(block: Block) -> tuple[int, int]:
    """Two 64-bit sums of the values' bit patterns: the same for the same rows in any order, and in this order only.

    Integer sums do not depend on chunks. They tell a source that is not deterministic from one that is. A block scanned
    whole may have its rows in any order; of one that is shared by slices, each row must stay where it was.
    """
    unordered, ordered = np.uint64(0), np.uint64(0)
    with np.errstate(over="ignore"):
        for chunk in block.chunks():
            rows = _row_fingerprints(chunk)
            places = np.arange(chunk.first_row - block.first_row, chunk.first_row - block.first_row + chunk.rows)
            unordered += rows.sum(dtype=np.uint64)
            ordered += np.sum(rows * (2 * places.astype(np.uint64) + np.uint64(1)), dtype=np.uint64)
    return (int(unordered) + block.rows) % 2**64, (int(ordered) + block.rows) % 2**64


def _row_fingerprints(chunk: Block) -> npt.NDArray[np.uint64]:
    """A sum for each row over its columns, each with a factor of its own."""
    features = chunk.features
    if isinstance(features, CsrFeatures):
        odd = (np.asarray(features.indices).astype(np.uint64) << np.uint64(1)) + np.uint64(1)
        sums = np.concatenate(
            [
                np.zeros(1, np.uint64),
                np.cumsum(_bits(np.asarray(features.values, dtype=np.float64)) * odd, dtype=np.uint64),
            ]
        )
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
