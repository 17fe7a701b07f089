"""Statistics that partitions kept back at ingest, because they take more than a partition's share of what fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkgd.data.blockfile import BlockHandle, block_of, read_statistics, remove_block, statistics_bytes
from sparkgd.data.statistics import Group, Statistics
from sparkgd.engine.limits import check_statistics
from sparkgd.engine.packed import PackedPartition
from sparkgd.exceptions import InvalidDataError

if TYPE_CHECKING:
    from pyspark import RDD

Handles = Callable[[Iterable[Any]], Iterator[tuple[BlockHandle, float]]]
"""Reads the rows of a partition of handles."""


@dataclass(frozen=True)
class Details:
    """What a partition kept back.

    Attributes
    ----------
    fingerprint : int
        Of the rows that were read for it.
    statistics : dict of Group to Statistics
    columns : ndarray of int32 or None
        See `PackedPartition`.
    """

    fingerprint: int
    statistics: dict[Group, Statistics]
    columns: npt.NDArray[np.int32] | None


def without_details(part: PackedPartition, most_bytes: int) -> PackedPartition:
    """A partition as it is sent at first: without what takes more than that. Runs on executors."""
    size = statistics_bytes(part.handle) + (0 if part.columns is None else part.columns.nbytes)
    return replace(part, statistics={}, columns=None, kept_back=size) if size > most_bytes else part


def completed(
    parts: dict[int, PackedPartition], handles: RDD[Any], source: RDD[Any], read: Handles
) -> dict[int, PackedPartition]:
    """The partitions with what they kept back, if all of it can be received by one more job.

    What is not on the machine that Spark chose is packed once more for it from ``source``.

    Raises
    ------
    InvalidParamError
        If the driver cannot receive so much.
    InvalidDataError
        If rows that were read again are others than before.
    """
    lacking = sorted(index for index, part in parts.items() if part.kept_back)
    if not lacking:
        return parts
    check_statistics((parts[index] for index in lacking), handles.context)
    found: dict[int, Details] = {}
    for rdd, reader in ((handles, _reader(read)), (source, _source_reader(read))):
        if rest := [index for index in lacking if index not in found]:
            found.update(rdd.context.runJob(rdd.mapPartitionsWithIndex(reader), list, rest))
    return parts | {index: _with_details(parts[index], found.get(index)) for index in lacking}


def _with_details(part: PackedPartition, details: Details | None) -> PackedPartition:
    if details is None or details.fingerprint != part.handle.fingerprint:
        raise InvalidDataError(
            "the input changed while it was read again: a partition that was packed again holds other rows. Its source "
            "is not deterministic (a rand(), a table overwritten meanwhile); cache or checkpoint the DataFrame before "
            "fit."
        )
    return replace(part, statistics=details.statistics, columns=details.columns, kept_back=0)


Reader = Callable[[int, Iterable[Any]], Iterator[tuple[int, Details]]]


def _reader(read: Handles) -> Reader:
    """Function for ``mapPartitionsWithIndex`` over handles; nothing where a block is on no disk of this machine."""

    def read_details(index: int, rows: Iterable[Any]) -> Iterator[tuple[int, Details]]:
        for handle, _ in read(rows):
            try:
                found = _details(handle)
            except FileNotFoundError:
                continue
            yield index, found

    return read_details


def _source_reader(read: Handles) -> Reader:
    """The same over freshly packed partitions, whose blocks serve for this alone."""

    def read_details(index: int, rows: Iterable[Any]) -> Iterator[tuple[int, Details]]:
        for handle, _ in read(rows):
            try:
                yield index, _details(handle)
            finally:
                remove_block(handle)

    return read_details


def _details(handle: BlockHandle) -> Details:
    columns = block_of(handle).features.columns
    return Details(handle.fingerprint, read_statistics(handle), None if columns is None else np.array(columns))
