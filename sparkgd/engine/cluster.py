"""Rounds as Spark jobs over the cached RDD of block handles."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pyspark import cloudpickle

from sparkgd.data.balance import SKEW_LIMIT, RowRange, row_ranges_of
from sparkgd.data.blockfile import BlockHandle, block_of, open_block, remove_block
from sparkgd.engine.base import Engine, Packing
from sparkgd.engine.classic.description import job_description
from sparkgd.engine.driver import DriverEngine, sample_of_packed
from sparkgd.engine.ingest import ResidentPacked, ingest, read_handles
from sparkgd.engine.limits import DriverLimits, collectable_bytes
from sparkgd.engine.partial import Partial, Work
from sparkgd.engine.shares import Cuts, Shares, slices_of
from sparkgd.exceptions import InvalidDataError
from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.combine import combine, levels
from sparkgd.kernels.running import kernel_error

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast
    from pyspark.sql import DataFrame

Array = npt.NDArray[np.float64]

BROADCAST_BYTES = 1 << 20
"""Kernels larger than this are broadcast once to each executor instead of shipped with every task."""


SHIPPED_BYTES = {"auto": 64 << 20, "driver": 1 << 40, "cluster": -1}
"""Size up to which ingest returns blocks with their statistics, by execution."""

NUMBER_BYTES = 8

SCATTER_BYTES = 1 << 20
"""Sums larger than this are added up by ranges of columns, each about so long, instead of by a tree."""

NAMED_LENGTH = 1.5
"""Bytes of a sum that travels with the number of its column, relative to those of a number alone."""


class ClusterEngine(Engine):
    """Blocks on executors' disks, one Spark job a round.

    ``mapPartitions`` runs the kernels on each share, a tree adds the partial sums.

    Long sums are added by a reduce-scatter: each task adds up one range of columns of all partial sums, so that none,
    and not the driver either, ever receives more than about one sum. The order of additions is the tree's.

    Tasks are independent and idempotent, so Spark's retries and speculation work as they are. A task that finds its
    block missing on its machine (Spark ran it elsewhere) reports that; those shares are then computed from the source
    for the round.

    Parameters
    ----------
    packed : ResidentPacked
    depth : int
        Of the tree.
    ranges : sequence of RowRange
        What each task scans, see `sparkgd.data.balance`; by default a partition.
    packing : Packing
    """

    execution: ClassVar[str] = "cluster"
    packed: ResidentPacked

    def __init__(
        self,
        packed: ResidentPacked,
        depth: int = 2,
        ranges: Sequence[RowRange] = (),
        packing: Packing | None = None,
    ) -> None:
        self.packed = packed
        self._packing = packing or Packing(depth=depth)
        self._shares = Shares.of(packed, ranges)
        self._handles = self._shares.handles()
        self._depth = depth
        self._class_weights: Array | None = None
        slices = self._shares.slices()
        self._indices = sorted(slices)
        rows = 0
        self._first_rows: dict[int, int] = {}
        for index in self._indices:
            self._first_rows[index] = rows
            rows += slices[index].rows
        self._limits = DriverLimits.of(packed.handles.context)
        self._touched = _touched_shares([slices[index] for index in self._indices])
        self._fingerprint = sum(part.fingerprint for part in slices.values()) % 2**64

    @classmethod
    def pack(cls, df: DataFrame, packing: Packing, description: str) -> ClusterEngine:
        """Pack the rows in one job."""
        context = df.sparkSession.sparkContext
        with job_description(context, description):
            packed = ingest(df, packing, SHIPPED_BYTES[packing.execution], collectable_bytes(context))
        try:
            limit = SKEW_LIMIT[packing.balance]
            ranges = row_ranges_of(packed.handles_by_partition(), packed.tasks, limit)
            return cls(packed, packing.depth, ranges, packing)
        except BaseException:
            packed.release()
            raise

    def gathered(self) -> DriverEngine:
        """The same rows in this process, and nothing left on executors."""
        try:
            return DriverEngine(self.packed.blocks(), self._depth, self.packed, self._packing)
        finally:
            self.packed.release()

    def ranges(self) -> list[RowRange]:
        """See `Engine`."""
        return [rows for _, rows in sorted(self._shares.ranges.items())]

    def sample(self) -> list[Block]:
        """See `Engine`."""
        return sample_of_packed(self.packed, self._packing, self._class_weights)

    def weigh_classes(self, factors: Array) -> None:
        """See `Engine`."""
        self._class_weights = factors

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Engine`.

        Raises
        ------
        InvalidParamError
            If the partial sums would not fit in what Spark lets the driver collect.
        InvalidDataError
            If a partition that Spark computed again holds other rows than at ingest.
        KernelError
            If a kernel fails.
        """
        context = self.packed.handles.context
        # cloudpickle ships what a notebook or script defines, such as a user's own loss, by value.
        work = Work(tuple(kernels), self._class_weights, self._first_rows)
        payload = cloudpickle.dumps(work)  # type: ignore[no-untyped-call]
        ranges = self._ranges(kernels)
        broadcast = context.broadcast(payload) if len(payload) > BROADCAST_BYTES else None
        try:
            with job_description(context, description):
                total = self._total(payload if broadcast is None else broadcast, ranges)
        except Exception as error:
            failed = kernel_error(error)
            if failed is None:
                raise
            raise failed from error
        finally:
            if broadcast is not None:
                broadcast.destroy()
        if total.fingerprint != self._fingerprint:
            raise InvalidDataError(
                "the input changed while it was read again: a recomputed partition holds other rows. Its source is not "
                "deterministic (a rand(), a table overwritten meanwhile); cache or checkpoint the DataFrame before fit."
            )
        return [sums.dense() for sums in total.sums]

    def release(self) -> None:
        """Drop handles and blocks everywhere."""
        self.packed.release()

    def _ranges(self, kernels: Sequence[Kernel]) -> int:
        """How many ranges of columns to add up apart; 1 for a tree.

        Raises
        ------
        InvalidParamError
            If the driver could not even receive the answer itself.
        """
        size = sum((kernel.answer_size for kernel in kernels), AnswerSize())
        answer = NUMBER_BYTES * (size.by_coef + size.whole + size.dealt)
        in_tree = len(levels(len(self._indices), self._depth)) > 0
        is_short = not in_tree or answer <= SCATTER_BYTES
        if is_short and self._limits.allow(_received(size, self._touched, self._depth)):
            return 1
        self._limits.check(answer)
        return max(min(len(self._indices), -(-answer // SCATTER_BYTES)), 2)

    def _total(self, payload: bytes | Broadcast[bytes], ranges: int) -> Partial:
        """Sum over all shares, in the order of `combine`; of those whose blocks are missing from their source."""
        repaired: dict[int, Partial] = {}
        while True:
            partials = self._handles.mapPartitionsWithIndex(_scanner(payload))
            if repaired:
                partials = _replaced(partials, repaired)
            total = self._tree(partials) if ranges == 1 else self._reduce_scatter(partials, ranges)
            if not total.missing:
                return total
            found = dict(self._from_source(payload, set(total.missing)))
            nothing = Partial(tuple(Sums() for _ in total.sums))  # no rows any more: the fingerprint will tell
            repaired.update({number: found.get(number, nothing) for number in total.missing})
            self._handles = self._shares.handles()  # Spark may have kept handles longer than their blocks

    def _from_source(self, payload: bytes | Broadcast[bytes], missing: set[int]) -> list[tuple[int, Partial]]:
        """Partials of the missing shares, whose partitions are packed for this one scan."""
        cuts: Cuts = {}
        for partition, shares in self._shares.cuts().items():
            if wanted := [share for share in shares if share[0] in missing]:
                cuts[partition] = wanted
        source = self.packed.source.mapPartitionsWithIndex(_source_scanner(payload, cuts))
        return list(source.context.runJob(source, list, sorted(cuts)))

    def _tree(self, partials: RDD[Any]) -> Partial:
        """The levels of the tree as shuffles of ``(rank, partial)``; a group is sorted before it is added.

        Where partials are few there are no levels: the driver adds them all, and no task need know its rank.
        """
        count = len(self._indices)
        sizes = levels(count, self._depth)
        level = self._ranked(partials) if sizes else partials
        for size in sizes:
            count = -(-count // size)
            level = level.map(_grouped(size)).partitionBy(count, int).mapPartitions(_adder(1))
        return Partial.total([partial for _, partial in sorted(level.collect())])

    def _reduce_scatter(self, partials: RDD[Any], count: int) -> Partial:
        """One shuffle of ``(range, (rank, partial))``; each range is added as the tree would add the whole."""
        ranges = self._ranked(partials).flatMap(_cut(count)).partitionBy(count, int)
        added = ranges.mapPartitions(_adder(self._depth)).collect()
        return Partial.joined([partial for _, partial in sorted(added)])

    def _ranked(self, partials: RDD[Any]) -> RDD[Any]:
        """Pairs of rank and partial."""
        ranks = {index: rank for rank, index in enumerate(self._indices)}
        # A partition that ingest found empty has no rank; its rows show in the fingerprint.
        return partials.map(lambda pair: (ranks.get(pair[0], len(ranks)), pair[1]))


def _replaced(partials: RDD[Any], known: dict[int, Partial]) -> RDD[Any]:
    """The partials, of which some are known."""
    others = partials.filter(_is_other(frozenset(known)))
    return others.union(partials.context.parallelize(sorted(known.items()), len(known)))


def _is_other(known: frozenset[int]) -> Callable[[tuple[int, Partial]], bool]:
    return lambda pair: pair[0] not in known


def _touched_shares(handles: Sequence[BlockHandle]) -> list[float]:
    """How long what each task returns of columns is at most, relative to a number for every column."""
    return [1.0 if h.touched is None else NAMED_LENGTH * h.touched / h.width for h in handles]


def _received(size: AnswerSize, shares: Sequence[float], depth: int) -> int:
    """Bytes that the driver receives of a round whose sums a tree adds up, at most."""
    for branches in levels(len(shares), depth):
        shares = [sum(shares[i : i + branches]) for i in range(0, len(shares), branches)]
    columns = sum(min(share, 1.0) for share in shares)
    return NUMBER_BYTES * int(size.by_coef * columns + size.whole * len(shares) + size.dealt)


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


def _source_scanner(payload: bytes | Broadcast[bytes], cuts: Cuts) -> Scanner:
    """The same over freshly packed partitions, whose blocks serve this one scan. Runs on executors."""

    def scan_partition(index: int, rows: Iterable[Any]) -> Iterator[tuple[int, Partial]]:
        work = _work(payload)
        for handle, _ in read_handles(rows):
            try:
                for number, part in slices_of(index, handle, cuts):
                    yield number, work.scan(block_of(part, work.first_rows[number]), part.fingerprint)
            finally:
                remove_block(handle)

    return scan_partition


def _work(payload: bytes | Broadcast[bytes]) -> Work:
    work: Work = pickle.loads(payload if isinstance(payload, bytes) else payload.value)
    return work


def _grouped(size: int) -> Callable[[tuple[int, Partial]], tuple[int, tuple[int, Partial]]]:
    return lambda pair: (pair[0] // size, pair)


def _cut(count: int) -> Callable[[tuple[int, Partial]], Iterator[tuple[int, tuple[int, Partial]]]]:
    """Function for ``flatMap`` over ranked partials: their ranges, by number. Runs on executors."""
    return lambda pair: ((number, (pair[0], part)) for number, part in enumerate(pair[1].cut(count)))


def _adder(depth: int) -> Callable[[Iterable[tuple[int, tuple[int, Partial]]]], Iterator[tuple[int, Partial]]]:
    """Function for ``mapPartitions`` over ranked partials of one group, or one range. Runs on executors.

    They are added in the order of their ranks, as a tree of that depth adds them.
    """

    def add(rows: Iterable[tuple[int, tuple[int, Partial]]]) -> Iterator[tuple[int, Partial]]:
        members = sorted(rows, key=lambda row: row[1][0])
        if members:
            yield members[0][0], combine([partial for _, (_, partial) in members], depth)

    return add
