"""Rounds as Spark jobs over the cached RDD of block handles."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark import cloudpickle

from sparkgd.data.blockfile import map_block, open_block, remove_block
from sparkgd.data.ingest import ResidentPacked, read_handles
from sparkgd.engine.combine import add_all, combine, levels
from sparkgd.engine.description import job_description
from sparkgd.engine.limits import check_driver_heap, check_result_size, driver_heap, max_result_size
from sparkgd.engine.partial import Partial, Work
from sparkgd.exceptions import InvalidDataError
from sparkgd.kernels import Kernel, Sums

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast

Array = npt.NDArray[np.float64]

BROADCAST_BYTES = 1 << 20
"""Kernels larger than this are broadcast once to each executor instead of shipped with every task."""


NAMED_LENGTH = 1.5
"""Bytes of a sum that travels with the number of its column, relative to those of a number alone."""


class ClusterEngine:
    """One Spark job a round: ``mapPartitions`` runs the kernels on each block, a tree adds the partial sums.

    Tasks are independent and idempotent, so Spark's retries and speculation work as they are. A task that finds its
    block missing on its machine (Spark ran it elsewhere) reports that; those partitions are then computed from the
    source for the round.
    """

    def __init__(self, packed: ResidentPacked, depth: int = 2, class_weights: Array | None = None) -> None:
        self._packed = packed
        self._depth = depth
        self._class_weights = class_weights
        self._indices = sorted(packed.partitions)
        rows = 0
        self._first_rows: dict[int, int] = {}
        for index in self._indices:
            self._first_rows[index] = rows
            rows += packed.partitions[index].handle.rows
        self._max_result_size = max_result_size(packed.handles.context)
        self._heap = driver_heap(packed.handles.context)
        self._answers = self._answer_shares()
        self._fingerprint = sum(part.handle.fingerprint for part in packed.partitions.values()) % 2**64

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `sparkgd.training.rounds.Engine`.

        Raises
        ------
        InvalidParamError
            If the partial sums would not fit in what Spark lets the driver collect.
        InvalidDataError
            If a partition that Spark computed again holds other rows than at ingest.
        """
        context = self._packed.handles.context
        # cloudpickle ships what a notebook or script defines, such as a user's own loss, by value.
        work = Work(tuple(kernels), self._class_weights, self._first_rows)
        payload = cloudpickle.dumps(work)  # type: ignore[no-untyped-call]
        check_result_size(self._max_result_size, len(payload), self._answers, self._depth)
        check_driver_heap(self._heap, int(len(payload) * self._answers), "a round")
        broadcast = context.broadcast(payload) if len(payload) > BROADCAST_BYTES else None
        try:
            with job_description(context, description):
                total = self._total(payload if broadcast is None else broadcast)
        finally:
            if broadcast is not None:
                broadcast.destroy()
        if total.fingerprint != self._fingerprint:
            raise InvalidDataError(
                "the input changed while it was read again: a recomputed partition holds other rows. Its source is not "
                "deterministic (a rand(), a table overwritten meanwhile); cache or checkpoint the DataFrame before fit."
            )
        return [sums.dense() for sums in total.sums]

    def close(self) -> None:
        """Drop handles and blocks everywhere."""
        self._packed.release()

    def _answer_shares(self) -> float:
        """How many times as long as the question all that the driver receives of a round is, at most."""
        handles = [self._packed.partitions[index].handle for index in self._indices]
        shares = [1.0 if h.touched is None else NAMED_LENGTH * h.touched / h.width for h in handles]
        for size in levels(len(shares), self._depth):
            shares = [sum(shares[i : i + size]) for i in range(0, len(shares), size)]
        return sum(min(share, 1.0) for share in shares)

    def _total(self, payload: bytes | Broadcast[bytes]) -> Partial:
        """Sum over all partitions, in the order of `combine`."""
        partials = self._packed.handles.mapPartitionsWithIndex(_scanner(payload))
        if levels(len(self._indices), self._depth):
            total = add_all([partial for _, partial in sorted(self._tree(partials).collect())])
            if not total.missing:
                return total
        by_partition: dict[int, Partial] = dict(partials.collect())
        missing = sorted(index for index, partial in by_partition.items() if partial.missing)
        if missing:
            source = self._packed.source.mapPartitionsWithIndex(_source_scanner(payload))
            by_partition.update(source.context.runJob(source, list, missing))
        return combine([partial for _, partial in sorted(by_partition.items())], self._depth)

    def _tree(self, partials: RDD[Any]) -> RDD[Any]:
        """The levels of the tree as shuffles of ``(rank, partial)``; a group is sorted before it is added."""
        ranks = {index: rank for rank, index in enumerate(self._indices)}
        # A partition that ingest found empty has no rank; its rows show in the fingerprint.
        level = partials.map(lambda pair: (ranks.get(pair[0], len(ranks)), pair[1]))
        count = len(ranks)
        for size in levels(count, self._depth):
            count = -(-count // size)
            level = level.map(_grouped(size)).partitionBy(count, int).mapPartitions(_add_group)
        return level


Scanner = Callable[[int, Iterable[Any]], Iterator[tuple[int, Partial]]]


def _scanner(payload: bytes | Broadcast[bytes]) -> Scanner:
    """Function for ``mapPartitionsWithIndex`` over the cached handles. Runs on executors."""

    def scan_partition(index: int, rows: Iterable[Any]) -> Iterator[tuple[int, Partial]]:
        work = _work(payload)
        for handle, _ in read_handles(rows):
            try:
                block = open_block(handle, work.first_rows.get(index, 0))
            except FileNotFoundError:
                yield index, work.nothing(index)
            else:
                yield index, work.scan(block, handle.fingerprint)

    return scan_partition


def _source_scanner(payload: bytes | Broadcast[bytes]) -> Scanner:
    """The same over freshly packed partitions, whose blocks serve this one scan. Runs on executors."""

    def scan_partition(index: int, rows: Iterable[Any]) -> Iterator[tuple[int, Partial]]:
        work = _work(payload)
        for handle, _ in read_handles(rows):
            try:
                yield index, work.scan(map_block(handle, work.first_rows.get(index, 0)), handle.fingerprint)
            finally:
                remove_block(handle)

    return scan_partition


def _work(payload: bytes | Broadcast[bytes]) -> Work:
    work: Work = pickle.loads(payload if isinstance(payload, bytes) else payload.value)
    return work


def _grouped(size: int) -> Callable[[tuple[int, Partial]], tuple[int, tuple[int, Partial]]]:
    return lambda pair: (pair[0] // size, pair)


def _add_group(rows: Iterable[tuple[int, tuple[int, Partial]]]) -> Iterator[tuple[int, Partial]]:
    """Add the members of one group in order of their rank. Runs on executors."""
    members = sorted(rows, key=lambda row: row[1][0])
    if members:
        yield members[0][0], add_all([partial for _, (_, partial) in members])
