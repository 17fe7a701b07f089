"""Block files: raw arrays in a directory of the executor's local disk, memory-mapped or read by whoever needs them.

All workers of a machine share one copy through the page cache, and data larger than memory are paged from disk.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Group, Statistics
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import CsrFeatures, DenseFeatures, Features, Stored
from sparkgd.kernels.wide import WideFeatures

STATISTICS = "statistics"
"""The file of a block that has the pickled statistics of its rows; of the columns alone that it names."""

SAMPLE = "sample"
"""The file of a block that has a pickled sample of its rows."""

ATTEMPTS = 100
"""Of making a directory beside tasks that remove theirs."""


@dataclass(frozen=True)
class Condensed:
    """What is known of rows for which a few others stand (see `sparkgd.reductions.moments`).

    Attributes
    ----------
    rows, stored : int
    """

    rows: int
    stored: int


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
        See `Fingerprint`: what a block that is packed again must have.
    touched : int or None
        Columns that store anything, where their ``indices`` are numbered among those; see `WideFeatures`.
    condensed : Condensed or None
        Of the rows that the block's rows stand for, where these are others.
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
    condensed: Condensed | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """Every length of feature vector that was met."""
        return (self.width, *self.ragged)

    @property
    def source_rows(self) -> int:
        """Rows of the partition, those that others stand for included."""
        return self.rows if self.condensed is None else self.condensed.rows

    @property
    def source_stored(self) -> int:
        """Feature values stored in those rows."""
        return self.stored if self.condensed is None else self.condensed.stored

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


def make_directory(path: Path) -> None:
    """Make a block's directory, within that of its fit.

    Who removes the last block of a fit removes the fit's directory. That may be between the making of the two, or
    between finding the first one there and asking what it is.

    Raises
    ------
    OSError
        If it cannot be made, however often that is tried.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            path.mkdir(parents=True)
            return
    path.mkdir(parents=True)


def remove_block(handle: BlockHandle) -> None:
    """Remove a block's files, and the fit's directory when this was its last block."""
    shutil.rmtree(handle.path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(handle.path))


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


def read_statistics(handle: BlockHandle) -> dict[Group, Statistics]:
    """What was found of the rows when they were packed; of the touched columns alone where these are named."""
    found: dict[Group, Statistics] = pickle.loads((Path(handle.path) / STATISTICS).read_bytes())
    return found


def statistics_bytes(handle: BlockHandle) -> int:
    """What `read_statistics` takes, on disk and on its way to the driver."""
    return (Path(handle.path) / STATISTICS).stat().st_size


def write_sample(handle: BlockHandle, sample: Block | None) -> None:
    """Keep a sample of the rows, or that there is none, beside them."""
    (Path(handle.path) / SAMPLE).write_bytes(pickle.dumps(sample, pickle.HIGHEST_PROTOCOL))


def read_sample(handle: BlockHandle) -> Block | None:
    """What `write_sample` kept."""
    found: Block | None = pickle.loads((Path(handle.path) / SAMPLE).read_bytes())
    return found


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
