"""Ingest: one Spark job that packs a DataFrame into block files and returns all statistics.

    DataFrame -> Arrow batches -> BlockWriter -> handles (cached) -> statistics, small blocks themselves

What Spark caches are handles; the blocks stay on the executors' local disks, next to the Python workers. In local mode
these disks are the driver's own: it reads there what executors would send from elsewhere.
Lineage remains Spark's own: a lost executor's handles are recomputed, which writes its blocks again.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pyarrow as pa
from pyspark import TaskContext

from sparkgd.data.blockfile import (
    BlockHandle,
    map_block,
    open_block,
    read_sample,
    read_statistics,
    remove_block,
    write_sample,
)
from sparkgd.data.columns import read_batch
from sparkgd.data.full_disk import disk_full_explained
from sparkgd.data.writer import Reduce, local_directory, pack
from sparkgd.engine.base import Packing
from sparkgd.engine.executors import Executors, Kept, OnPairs, Packer, Pair
from sparkgd.engine.handles import read_handles
from sparkgd.engine.interface import executors_of
from sparkgd.engine.kept_back import completed, without_details
from sparkgd.engine.packed import CHANGED, Packed, PackedPartition
from sparkgd.engine.worker_python import worker_python_explained
from sparkgd.exceptions import DiskFullError, InvalidDataError
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.block import Block
from sparkgd.reductions.moments import MomentsWithin
from sparkgd.reductions.sample import SAMPLE_BYTES, sample_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REMEMBERED = 32
"""Fits that have ended whose directories are removed once more."""

_last_ended: WeakKeyDictionary[Any, deque[str]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class ResidentPacked(Packed):
    """Blocks on the executors' disks, and the cached handles of them.

    Attributes
    ----------
    name : str
        Of the fit's directories.
    executors : Executors
    handles : Kept
        By the number of the partition; to make them again packs the partition anew.
    """

    name: str
    executors: Executors
    handles: Kept

    @property
    def tasks(self) -> int:
        """Tasks that rounds over these blocks can run at once: slots, or partitions while executors may still come."""
        return self.executors.slots or max(len(self.partitions), 1)

    def _found(self) -> dict[int, Block]:
        """The blocks by partition; one job fetches those that ingest did not ship, one more those that were lost since.

        Raises
        ------
        InvalidDataError
            If a partition that was packed again has other rows.
        """
        found = super()._found()
        lacking = [index for index in self.partitions if index not in found]
        for pairs, reader in ((self.handles.cached, _fetch), (self.handles.source, _fetch_anew)):
            if rest := [index for index in lacking if index not in found]:
                for index, (fingerprint, block) in pairs.only(rest).through(reader).collect():
                    if fingerprint == self.partitions[index].handle.ordered_fingerprint:
                        found[index] = block
        if any(index not in found for index in lacking):
            raise InvalidDataError(CHANGED)
        return found

    def release(self) -> None:
        """Drop the cached handles and every block file; a second call finds nothing to do."""
        if self.handles.is_there:
            _release(self.executors, self.handles, self.name, [part.handle for part in self.partitions.values()])


@one_thread()  # as the workers that pack other data have
def ingest_small(df: DataFrame, packing: Packing) -> Packed:
    """Pack ``df`` in this process, as one block: for data that `is_small`, without any Python worker."""
    began = time.perf_counter()
    directory = Path(tempfile.mkdtemp(prefix="sparkgd-"))
    try:
        batches = map(read_batch, df.toArrow().to_batches())
        handle = pack(batches, directory, packing.dtype, by_label=packing.by_label)
        if handle is None:
            return Packed({})
        block = map_block(handle)  # the mapping outlives the files' names
        found = read_statistics(handle)
        part = PackedPartition(handle, found, time.perf_counter() - began, block, block.features.columns)
        return Packed({0: part})
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def ingest(df: DataFrame, packing: Packing, ship_bytes: int, most_bytes: int = 1 << 62) -> ResidentPacked:
    """Pack ``df`` in one job.

    Parameters
    ----------
    df : DataFrame
        Columns named as in `sparkgd.data.columns`: ``features`` array<double>, ``label`` double, and where used
        ``indices`` array<int> (sparse vectors), ``weight``, ``offset``, ``fold``.
    packing : Packing
    ship_bytes : int
        Blocks are returned with their statistics, so that small data need no second job, while each is at most its
        share of this size; so the driver never receives more, however many partitions there are. Moments take the place
        of rows where these suffice and are small enough to be shipped.
    most_bytes : int
        Statistics are kept back by partitions where they take more than their share of this size; they are fetched by
        a second job, unless all that was kept back is more than the driver can receive.

    Raises
    ------
    DiskFullError
    WorkerPythonError
        If the executors' Python cannot run tasks.
    """
    executors = executors_of(df.sparkSession)
    slots = executors.slots
    name = f"sparkgd-{uuid.uuid4().hex}"
    if slots is not None:
        df = df.coalesce(slots)
    by_moments = packing.moments_suffice and packing.execution == "auto" and slots is not None
    reduce = MomentsWithin(ship_bytes // (slots or 1)) if by_moments else None
    handles = executors.keep(df, _packer(name, packing, reduce))
    try:
        here, sample_bytes = executors.share_disks, SAMPLE_BYTES * packing.wants_sample

        def inspector(count: int) -> OnPairs:
            return _inspector(ship_bytes // count, most_bytes // count, sample_bytes // count, to_files=here)

        with worker_python_explained(), executors.outlived_by_no_task():
            count, reports = handles.asked(inspector, slots)
            found = _without_failures(reports)
        if here:
            found = [(index, _read_here(part, ship_bytes // count)) for index, part in found]
        partitions = completed(dict(found), handles, executors.limits)
    except BaseException:
        _release(executors, handles, name, [])
        raise
    return ResidentPacked(partitions, name, executors, handles)


def _packer(name: str, packing: Packing, reduce: Reduce | None) -> Packer:
    """Function that packs a partition: its handle and seconds, or why there is none. Runs on executors.

    That a disk is full is told too: another attempt would fill it again, and the driver need not understand texts.
    """
    dtype, access, by_label = packing.dtype, packing.access, packing.by_label

    def pack_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[Pair]:
        began = time.perf_counter()
        context = TaskContext.get()
        partition = 0 if context is None else context.partitionId()
        handle, failure = None, None
        try:
            handle = pack(map(read_batch, batches), local_directory(name, partition), dtype, access, by_label, reduce)
        except DiskFullError as error:
            failure = str(error)
        if handle is not None or failure is not None:
            yield partition, (handle, time.perf_counter() - began, failure)

    return pack_partition


def _inspector(ship_bytes: int, most_bytes: int, sample_bytes: int, to_files: bool) -> OnPairs:
    """Function for handles: statistics of each block, and it or a sample of it; or why there is none.

    With ``to_files`` these two are left for `_read_here`. Runs on executors.
    """

    def inspect(pairs: Iterable[Pair]) -> Iterator[Pair]:
        for pair in pairs:
            try:
                for index, handle, seconds in read_handles([pair]):
                    yield index, (without_details(described(handle, seconds), most_bytes), None)
            except DiskFullError as error:
                yield pair[0], (None, str(error))

    def described(handle: BlockHandle, seconds: float) -> PackedPartition:
        found = read_statistics(handle)
        is_whole = handle.num_bytes <= ship_bytes
        block = map_block(handle) if is_whole else open_block(handle, 0)
        is_sampled = not is_whole and sample_bytes > 0
        sample = sample_of(block, sample_bytes / max(handle.num_bytes, 1), found) if is_sampled else None
        part = PackedPartition(handle, found, seconds, None, block.features.columns)
        if not to_files:
            return replace(part, block=block if is_whole else None, shipped_sample=sample)
        if not is_whole:
            with disk_full_explained(Path(handle.path), lambda: handle.num_bytes):
                write_sample(handle, sample)
        return part

    return inspect


def _without_failures(reports: Sequence[Pair]) -> list[tuple[int, PackedPartition]]:
    """The partitions, if all of them could be packed."""
    failures = [failure for _, (_, failure) in reports if failure is not None]
    if failures:
        others = f" ({len(failures)} of {len(reports)} partitions failed so)" if len(reports) > 1 else ""
        raise DiskFullError(failures[0] + others)
    return [(index, part) for index, (part, _) in reports if part is not None]


def _read_here(part: PackedPartition, ship_bytes: int) -> PackedPartition:
    """What a partition would have sent from another machine, read from its files."""
    if part.handle.num_bytes <= ship_bytes:
        return replace(part, block=map_block(part.handle))  # the mapping outlives the files' names
    return replace(part, shipped_sample=read_sample(part.handle))


def _fetch(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """For handles: fingerprint and rows; nothing where a block is on no disk of this machine. Runs on executors."""
    for index, handle, _ in read_handles(pairs):
        with contextlib.suppress(FileNotFoundError):
            yield index, (handle.ordered_fingerprint, map_block(handle))


def _fetch_anew(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The same for partitions that were just packed. Runs on executors."""
    for index, handle, _ in read_handles(pairs):
        try:
            yield index, (handle.ordered_fingerprint, map_block(handle))
        finally:
            remove_block(handle)


def _release(executors: Executors, handles: Kept, name: str, known: list[BlockHandle]) -> None:
    """Remove block files, those of failed tasks included, then uncache.

    Where this process can see the executors' disks, the directories are those of ingest and are removed at once. On a
    cluster a task goes to every executor, not only to those that hold handles: blocks may also be where a task was
    tried that another one overtook, and beside an executor that came in the place of one that was killed.
    """
    for handle in known:
        shutil.rmtree(os.path.dirname(handle.path), ignore_errors=True)
    remove = _remover(_ended(executors, name))
    if not (known and executors.share_disks):
        with contextlib.suppress(Exception):  # the executors' own clean-up removes what cannot be reached now
            executors.everywhere(remove)
    handles.let_go()


def _ended(executors: Executors, name: str) -> frozenset[str]:
    """The names of a fit that ends and of those that ended last.

    A task that Spark has given up may write until it notices, and an executor may be too busy to remove anything: with
    the next fit these go too.
    """
    last = _last_ended.setdefault(executors.application, deque(maxlen=REMEMBERED))
    last.append(name)
    return frozenset(last)


def _remover(names: frozenset[str]) -> Callable[[], None]:
    """Function that removes the directories of fits. Runs on executors.

    Those of executors that were killed on the same machine stand beside this one's, and nobody else would remove them
    before the application ends.
    """

    def remove() -> None:
        for root in filter(None, (os.environ.get("SPARK_LOCAL_DIRS") or "").split(",")):
            beside = glob.glob(os.path.join(glob.escape(os.path.dirname(root)), "*", "sparkgd-*"))
            for directory in filter(lambda path: os.path.basename(path) in names, beside):
                shutil.rmtree(directory, ignore_errors=True)

    return remove
