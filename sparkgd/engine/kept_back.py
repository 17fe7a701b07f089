"""Statistics that partitions kept back at ingest, because they take more than a partition's share of what fits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.data.blockfile import BlockHandle, block_of, read_statistics, remove_block, statistics_bytes
from sparkgd.data.statistics import Group, Statistics
from sparkgd.engine.executors import Kept, Pair
from sparkgd.engine.handles import read_handles
from sparkgd.engine.limits import DriverLimits
from sparkgd.engine.packed import CHANGED, PackedPartition
from sparkgd.exceptions import InvalidDataError


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


def completed(parts: dict[int, PackedPartition], handles: Kept, limits: DriverLimits) -> dict[int, PackedPartition]:
    """The partitions with what they kept back, if all of it can be received by one more job.

    What is not on the machine that Spark chose is packed once more for it.

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
    limits.check_statistics(sum(parts[index].kept_back for index in lacking))
    found: dict[int, Details] = {}
    for pairs, reader in ((handles.cached, _read_details), (handles.source, _read_source)):
        if rest := [index for index in lacking if index not in found]:
            found.update(pairs.only(rest).through(reader).collect())
    return parts | {index: _with_details(parts[index], found.get(index)) for index in lacking}


def _with_details(part: PackedPartition, details: Details | None) -> PackedPartition:
    if details is None or details.fingerprint != part.handle.fingerprint:
        raise InvalidDataError(CHANGED)
    return replace(part, statistics=details.statistics, columns=details.columns, kept_back=0)


def _read_details(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """For handles: nothing where a block is on no disk of this machine. Runs on executors."""
    for index, handle, _ in read_handles(pairs):
        try:
            found = _details(handle)
        except FileNotFoundError:
            continue
        yield index, found


def _read_source(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The same for freshly packed partitions, whose blocks serve for this alone. Runs on executors."""
    for index, handle, _ in read_handles(pairs):
        try:
            yield index, _details(handle)
        finally:
            remove_block(handle)


def _details(handle: BlockHandle) -> Details:
    columns = block_of(handle).features.columns
    return Details(handle.fingerprint, read_statistics(handle), None if columns is None else np.array(columns))
