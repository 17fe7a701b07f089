"""Block files: raw arrays in a directory of the executor's local disk, memory-mapped or read by whoever needs them.

All workers of a machine share one copy through the page cache, and data larger than memory are paged from disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from sparkgd.data.columns import RowBatch
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import (
    SPARSE_CHUNK,
    WORTH_NAMING,
    CsrFeatures,
    DenseFeatures,
    Features,
    Stored,
    WideFeatures,
)

DENSE_FROM = 0.5
"""Share of stored values from which a block is dense: below it CSR is smaller."""


WIDE = 1 << 14
"""Columns from which it pays to name those that a block touches."""


@dataclass(frozen=True)
class BlockHandle:
    """Where a block is and what its files hold; tiny, so that Spark can cache and ship it.

    Attributes
    ----------
    path : str
        Directory of the array files.
    host : str
        Machine that has them.
    rows, stored, width : int
        Rows, stored feature values and columns.
    start : int
        Number of the first row in the files; the files may hold more rows than the handle means.
    access : str
        How the features are scanned: ``map`` or ``read``, see `ACCESS`.
    dtype : str
        Storage type of the features, ``float64`` or ``float32``.
    dense : bool
    extras : tuple of str
        Which of ``offset`` and ``fold`` are there.
    nulls : dict of str to int
        Rows dropped while packing, by the column that was null.
    ragged : tuple of int
        Feature vector lengths other than ``width`` that were met; training must refuse such data.
    fingerprint, ordered_fingerprint : int
        See `fingerprints`: what a block that is packed again must have.
    touched : int or None
        Columns that store anything, where their ``indices`` are numbered among those; see `WideFeatures`.
    """

    path: str
    host: str
    rows: int
    stored: int
    width: int
    dtype: str
    dense: bool
    extras: tuple[str, ...]
    nulls: dict[str, int]
    ragged: tuple[int, ...]
    fingerprint: int = 0
    touched: int | None = None
    ordered_fingerprint: int = 0
    start: int = 0
    access: str = "map"

    @property
    def widths(self) -> tuple[int, ...]:
        """Every length of feature vector that was met."""
        return (self.width, *self.ragged)

    @property
    def num_bytes(self) -> int:
        """Size of the block's arrays."""
        per_value = np.dtype(self.dtype).itemsize + (0 if self.dense else 4)
        per_row = 16 + 8 * ("offset" in self.extras) + ("fold" in self.extras)
        named = 4 * (self.touched or 0)
        return self.stored * per_value + self.rows * per_row + (0 if self.dense else 8 * (self.rows + 1)) + named

    def slice(self, start: int, stop: int) -> BlockHandle:
        """Handle of rows ``start`` to ``stop``, or to the end where there are fewer.

        ``stored`` is that of mean rows. What tells whether the slices of a block packed again fit together is the
        fingerprint of all its rows in their order.
        """
        start, stop = min(start, self.rows), min(stop, self.rows)
        if (start, stop) == (0, self.rows):
            return self
        stored = self.stored * stop // self.rows - self.stored * start // self.rows
        return replace(
            self, rows=stop - start, stored=stored, start=self.start + start, fingerprint=self.ordered_fingerprint
        )


def local_directory(name: str, partition: int) -> Path:
    """This executor's own directory for one fit's blocks; Spark removes the parent with the executor.

    A task that is tried again finds the same directory, so that what a killed worker left there is removed with it.
    """
    roots = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    choices = roots.split(",")
    return Path(choices[partition % len(choices)]) / name


def pack(batches: Iterable[RowBatch], directory: Path, dtype: str, access: str = "map") -> BlockHandle | None:
    """Write the rows of a partition to a block of a fresh name under ``directory``; None for no rows at all.

    Nothing is left behind when reading the batches fails.
    """
    with BlockWriter(directory / uuid.uuid4().hex, dtype) as writer:
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


def remove_block(handle: BlockHandle) -> None:
    """Remove a block's files, and the fit's directory when this was its last block."""
    shutil.rmtree(handle.path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(handle.path))


class BlockWriter:
    """Streams row batches to array files; a context manager that removes the files on failure."""

    def __init__(self, path: Path, dtype: str) -> None:
        self._path, self._dtype = path, np.dtype(dtype)
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
        self._add_features(batch)
        self._write("label", batch.label)
        self._write("weight", batch.weight)
        if batch.offset is not None:
            self._write("offset", batch.offset)
        if batch.fold is not None:
            self._write("fold", batch.fold)
        self._rows += batch.rows

    def handle(self) -> BlockHandle | None:
        """Handle of what was written."""
        if self._width < 0 and not self._nulls:
            return None
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
        )

    def _begin(self, batch: RowBatch) -> None:
        self._width = int(batch.sizes[0])
        self._dense = len(batch.values) >= DENSE_FROM * batch.rows * self._width
        self._path.mkdir(parents=True)
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

    def _write(self, name: str, values: npt.NDArray[np.generic]) -> None:
        if name not in self._files:
            self._files[name] = open(self._path / name, "wb")  # noqa: SIM115 - closed in __exit__
        np.ascontiguousarray(values).tofile(self._files[name])


class FileArray:
    """An array on disk of which a slice of rows is read into memory that the next slice takes over.

    It is for scans: resident memory is that of one slice, where mapped pages stay as long as memory is free, and some
    cluster managers count them as the process's own. Whatever needs other rows than slices gets a mapping.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, first: int, shape: tuple[int, ...]) -> None:
        self._path, self._dtype, self._first = path, np.dtype(dtype), first
        self._shape = shape
        self._buffer = np.empty((0, *shape[1:]), self._dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array."""
        return self._shape

    def __getitem__(self, rows: Any) -> npt.NDArray[Any]:
        if not isinstance(rows, slice):
            return np.asarray(np.asarray(self)[rows])
        start, stop, _ = rows.indices(self._shape[0])
        count = max(stop - start, 0)
        if count > len(self._buffer):
            self._buffer = np.empty((count, *self._shape[1:]), self._dtype)
        found = self._buffer[:count]
        row_bytes = int(np.prod(self._shape[1:])) * self._dtype.itemsize
        with open(self._path, "rb") as file:
            file.seek(self._first * self._dtype.itemsize + start * row_bytes)
            if file.readinto(found.data) != found.nbytes:
                raise OSError(f"{self._path} is shorter than it was written")
        return found

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        mapped = _mapped(self._path, self._dtype, self._first, self._shape)
        return np.array(mapped, dtype=dtype) if copy else np.asarray(mapped, dtype=dtype)


def _mapped(path: Path, dtype: npt.DTypeLike, first: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """``shape`` values of a file from number ``first`` on, as a read-only memory map."""
    if 0 in shape:
        return np.zeros(shape, dtype=dtype)
    return np.asarray(np.memmap(path, dtype=dtype, mode="r", offset=first * np.dtype(dtype).itemsize, shape=shape))


ACCESS: dict[str, Callable[[Path, npt.DTypeLike, int, tuple[int, ...]], Stored]] = {"map": _mapped, "read": FileArray}
"""How features come from their files, by the param ``blockAccess``."""


def map_block(handle: BlockHandle, first_row: int = 0) -> Block:
    """The block as read-only memory maps.

    Raises
    ------
    FileNotFoundError
        If the files are not on this machine.
    """
    return block_of(replace(handle, access="map"), first_row)


def block_of(handle: BlockHandle, first_row: int = 0) -> Block:
    """The block, its features mapped or read as the handle says; all else is small, and mapped.

    Raises
    ------
    FileNotFoundError
        If the files are not on this machine.
    """
    path, start, rows, width = Path(handle.path), handle.start, handle.rows, handle.width
    stored = ACCESS[handle.access]

    def column(name: str, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return _mapped(path / name, dtype, start, (rows,))

    features: Features
    if handle.dense:
        features = DenseFeatures(stored(path / "values", handle.dtype, start * width, (rows, width)))
    else:
        indptr = _mapped(path / "indptr", np.int64, start, (rows + 1,))
        first, count = int(indptr[0]), (int(indptr[-1] - indptr[0]),)
        values, indices = (
            stored(path / "values", handle.dtype, first, count),
            stored(path / "indices", np.int32, first, count),
        )
        inside = CsrFeatures(
            values, indices, indptr - first if first else indptr, width if handle.touched is None else handle.touched
        )
        features = inside
        if handle.touched is not None:
            features = WideFeatures(inside, _mapped(path / "columns", np.int32, 0, (handle.touched,)), width)
    return Block(
        features,
        column("label", np.float64),
        column("weight", np.float64),
        column("offset", np.float64) if "offset" in handle.extras else None,
        column("fold", np.uint8) if "fold" in handle.extras else None,
        first_row,
    )


_OPEN_LIMIT = 8
_open: OrderedDict[tuple[str, int, int], Block] = OrderedDict()


def open_block(handle: BlockHandle, first_row: int) -> Block:
    """`block_of`, remembered by this process: a mapping that stays saves the page faults of every further round."""
    for key in [key for key in _open if not os.path.isdir(key[0])]:
        del _open[key]
    key = (handle.path, handle.start, handle.rows)
    if key not in _open:
        _open[key] = block_of(handle)
        if len(_open) > _OPEN_LIMIT:
            _open.popitem(last=False)
    return replace(_open[key], first_row=first_row)


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
