"""Packing: the rows of a partition are streamed to the files of a block, and described on the way."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.blockfile import STATISTICS, BlockHandle, Condensed, block_of, make_directory
from sparkgd.data.columns import RowBatch
from sparkgd.data.fingerprint import Fingerprint
from sparkgd.data.full_disk import disk_full_explained
from sparkgd.data.statistics import Group, Statistics, add_statistics, statistics_of
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import SPARSE_CHUNK, WORTH_NAMING, CsrFeatures

DENSE_FROM = 0.5
"""Share of stored values from which a block is dense: below it CSR is smaller."""

WIDE = 1 << 14
"""Columns of sparse rows from which it pays to name those that a block touches."""


class StandIns(Protocol):
    """Few rows that are to be packed in place of those of a partition (see `sparkgd.reductions`)."""

    def add(self, block: Block) -> None:
        """Take some of the partition's rows, dense ones."""
        ...

    def block(self) -> Block:
        """The rows that stand for all that were added."""
        ...


Reduce: TypeAlias = Callable[[int], StandIns | None]
"""What to pack in place of dense rows of so many columns; None for the rows themselves."""


def local_directory(name: str, partition: int) -> Path:
    """This executor's own directory for one fit's blocks; Spark removes the parent with the executor.

    A task that is tried again finds the same directory, so that what a killed worker left there is removed with it.
    """
    roots = os.environ.get("SPARK_LOCAL_DIRS") or tempfile.gettempdir()
    choices = roots.split(",")
    return Path(choices[partition % len(choices)]) / name


def pack(
    batches: Iterable[RowBatch],
    directory: Path,
    dtype: str,
    access: str = "map",
    by_label: bool = False,
    reduce: Reduce | None = None,
) -> BlockHandle | None:
    """Write the rows of a partition, and their statistics, to a block of a fresh name under ``directory``.

    Nothing is left behind when reading the batches fails, or writing them.

    Parameters
    ----------
    batches : iterable of RowBatch
    directory : Path
    dtype : str
        Storage type of the features.
    access : str
        How the block is to be scanned, see `BlockHandle`.
    by_label : bool
        Whether to keep the statistics of each label apart.
    reduce : callable or None
        What to pack in place of dense rows.

    Returns
    -------
    BlockHandle or None
        None for no rows at all.

    Raises
    ------
    DiskFullError
    """
    writer = BlockWriter(directory / uuid.uuid4().hex, dtype, by_label, reduce)
    with disk_full_explained(directory, lambda: writer.written), writer:
        for batch in batches:
            writer.add(batch)
        handle = writer.handle()
        if handle is None:
            return None
        statistics = writer.statistics
        if writer.is_wide:
            handle = _narrowed(handle)
            statistics = statistics_of(block_of(handle).narrow(), by_label)
        (Path(handle.path) / STATISTICS).write_bytes(pickle.dumps(statistics))
    return replace(handle, access=access)


def _narrowed(handle: BlockHandle) -> BlockHandle:
    """The block with its columns numbered among those that it touches, if these are few."""
    if not handle.stored:
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
    (Path(handle.path) / "columns").write_bytes(columns.tobytes())
    return replace(handle, touched=len(columns))


def _chunks(indices: npt.NDArray[np.int32]) -> Iterator[npt.NDArray[np.int32]]:
    """Writable views that fit the CPU's cache."""
    return (indices[start : start + SPARSE_CHUNK] for start in range(0, len(indices), SPARSE_CHUNK))


class BlockWriter:
    """Streams row batches to array files; a context manager that removes the files on failure.

    Rows go through the CPU's cache once: for their statistics, for the fingerprint and to the files. Of wide rows the
    statistics are left to `pack`: a batch has too few of them to sum up every column.

    Attributes
    ----------
    statistics : dict of Group to Statistics
        Of the rows so far.
    written : int
        Bytes given to the files.
    """

    def __init__(self, path: Path, dtype: str, by_label: bool = False, reduce: Reduce | None = None) -> None:
        self.statistics: dict[Group, Statistics] = {}
        self._path, self._dtype = path, np.dtype(dtype)
        self._by_label, self._reduce = by_label, reduce
        self._stand_ins: StandIns | None = None
        self._fingerprint = Fingerprint()
        self._files: dict[str, BinaryIO] = {}
        self.written = 0
        self._source_rows = self._stored = 0
        self._width = -1
        self._dense = True
        self._nulls: dict[str, int] = {}
        self._ragged: set[int] = set()

    def __enter__(self) -> BlockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
            return
        for file in self._files.values():
            with contextlib.suppress(OSError):  # a full disk takes no rest of a buffer either
                file.close()
        shutil.rmtree(self._path, ignore_errors=True)

    @property
    def is_wide(self) -> bool:
        """Whether the rows are sparse and have very many columns."""
        return not self._dense and self._width >= WIDE

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
        self._source_rows += batch.rows
        for chunk in batch.block(
            self._dense, self._dtype if self._stand_ins is None else np.dtype(np.float64)
        ).chunks():
            if not self.is_wide:
                add_statistics(self.statistics, statistics_of(chunk, self._by_label))
            if self._stand_ins is None:
                self._add_rows(chunk)
            else:
                self._stand_ins.add(chunk)

    def handle(self) -> BlockHandle | None:
        """Handle of what was added, all of it in files now."""
        if self._width < 0 and not self._nulls:
            return None
        condensed = None
        if self._stand_ins is not None:
            self._dtype = np.dtype(np.float64)  # they may differ by little
            self._add_rows(self._stand_ins.block())
            condensed = Condensed(self._source_rows, self._source_rows * self._width)
        if self._width < 0:  # all rows had a null
            make_directory(self._path)
        self._close()
        return BlockHandle(
            path=str(self._path),
            host=socket.gethostname(),
            rows=self._fingerprint.rows,
            stored=self._stored,
            width=max(self._width, 0),
            dtype=self._dtype.name,
            dense=self._dense,
            extras=tuple(name for name in ("offset", "fold") if name in self._files),
            nulls=self._nulls,
            ragged=tuple(sorted(self._ragged)),
            fingerprint=self._fingerprint.unordered,
            ordered_fingerprint=self._fingerprint.ordered,
            condensed=condensed,
        )

    def _begin(self, batch: RowBatch) -> None:
        self._width = int(batch.sizes[0])
        self._dense = len(batch.values) >= DENSE_FROM * batch.rows * self._width
        make_directory(self._path)
        if self._dense and self._reduce is not None:
            self._stand_ins = self._reduce(self._width)
        if not self._dense:
            self._write("indptr", np.zeros(1, dtype=np.int64))

    def _add_rows(self, rows: Block) -> None:
        self._fingerprint.add(rows)
        features = rows.features
        if isinstance(features, CsrFeatures):
            self._write("values", np.asarray(features.values, self._dtype))
            self._write("indices", np.asarray(features.indices))
            self._write("indptr", self._stored + features.indptr[1:])
        else:
            self._write("values", features.dense().astype(self._dtype, copy=False))
        self._stored += features.stored
        for name, column in (
            ("label", rows.label),
            ("weight", rows.weight),
            ("offset", rows.offset),
            ("fold", rows.fold),
        ):
            if column is not None:
                self._write(name, column)

    def _write(self, name: str, values: npt.NDArray[np.generic]) -> None:
        if name not in self._files:
            self._files[name] = open(self._path / name, "wb")  # noqa: SIM115 - closed in _close
        content = np.ascontiguousarray(values).data  # ndarray.tofile would not tell why it failed
        self.written += content.nbytes
        self._files[name].write(content)

    def _close(self) -> None:
        for file in self._files.values():
            file.close()
