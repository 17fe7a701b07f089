"""Rounds as Spark jobs over the cached handles of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pyspark import cloudpickle

from sparkgd.data.balance import SKEW_LIMIT, RowRange, row_ranges_of
from sparkgd.data.blockfile import BlockHandle
from sparkgd.engine.base import Engine, Packing
from sparkgd.engine.driver import DriverEngine, sample_of_packed
from sparkgd.engine.executors import OnPairs, Pair, Pairs, Parcel
from sparkgd.engine.ingest import ResidentPacked, ingest
from sparkgd.engine.interface import executors_of
from sparkgd.engine.packed import CHANGED
from sparkgd.engine.partial import Partial, Work
from sparkgd.engine.shares import Shares
from sparkgd.engine.storage import first_storage
from sparkgd.exceptions import InvalidDataError
from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.combine import combine, levels
from sparkgd.kernels.running import kernel_error

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array = npt.NDArray[np.float64]

SHIPPED_BYTES = {"auto": 64 << 20, "driver": 1 << 40, "cluster": -1}
"""Size up to which ingest returns blocks with their statistics, by execution."""

NUMBER_BYTES = 8

SCATTER_BYTES = 1 << 20
"""Sums larger than this are added up by ranges of columns, each about so long, instead of by a tree."""

NAMED_LENGTH = 1.5
"""Bytes of a sum that travels with the number of its column, relative to those of a number alone."""


class ClusterEngine(Engine):
    """Blocks on executors' disks, one Spark job a round.

    One pass over the handles runs the kernels on each share, a tree adds the partial sums.

    Long sums are added by a reduce-scatter: each task adds up one range of columns of all partial sums, so that none,
    and not the driver either, ever receives more than about one sum. The order of additions is the tree's.

    Tasks are independent and idempotent, so Spark's retries and speculation work as they are. A task that finds its
    block missing on its machine (Spark ran it elsewhere) reports that; those shares are then computed from the source
    for the round. Where that happens again and again, other storage takes the place of files (`engine/storage.py`).

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
        self._storage = first_storage(self._shares)
        self._depth = depth
        self._class_weights: Array | None = None
        slices = self._shares.slices()
        self._indices = sorted(slices)
        rows = 0
        self._first_rows: dict[int, int] = {}
        for index in self._indices:
            self._first_rows[index] = rows
            rows += slices[index].rows
        self._limits = packed.executors.limits
        self._touched = _touched_shares([slices[index] for index in self._indices])
        self._fingerprint = sum(part.fingerprint for part in slices.values()) % 2**64

    @classmethod
    def pack(cls, df: DataFrame, packing: Packing, description: str) -> ClusterEngine:
        """Pack the rows in one job."""
        executors = executors_of(df.sparkSession)
        with executors.described(description):
            packed = ingest(df, packing, SHIPPED_BYTES[packing.execution], executors.limits.collectable)
        try:
            limit = SKEW_LIMIT[packing.balance]
            ranges = row_ranges_of(packed.handles_by_partition(), packed.tasks, limit)
            return cls(packed, packing.depth, ranges, packing)
        except BaseException:
            packed.release()
            raise

    @property
    def most_gathered(self) -> int:
        """Bytes up to which the rows are better off in this process; more where Spark keeps nothing on executors."""
        few, execution = SHIPPED_BYTES[self._packing.execution], self._packing.execution
        return max(few, self._limits.collectable) if self.packed.handles.refusal and execution == "auto" else few

    def gathered(self) -> DriverEngine:
        """The same rows in this process, and nothing left on executors."""
        try:
            refusal = self.packed.handles.refusal
            return DriverEngine(self.packed.blocks(), self._depth, self.packed, self._packing, refusal)
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
        executors = self.packed.executors
        # cloudpickle ships what a notebook or script defines, such as a user's own loss, by value.
        work = Work(tuple(kernels), self._class_weights, self._first_rows)
        payload = cloudpickle.dumps(work)  # type: ignore[no-untyped-call]
        ranges = self._ranges(kernels)
        try:
            with executors.parcel(payload) as parcel, executors.described(description):
                total = self._total(parcel, ranges)
        except Exception as error:
            failed = kernel_error(error)
            if failed is None:
                raise
            raise failed from error
        if total.fingerprint != self._fingerprint:
            raise InvalidDataError(CHANGED)
        return [sums.dense() for sums in total.sums]

    @property
    def storage(self) -> str:
        """See `Engine`."""
        return str(self._storage)

    def release(self) -> None:
        """Drop handles and blocks everywhere."""
        self._storage.let_go()
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

    def _total(self, work: Parcel, ranges: int) -> Partial:
        """Sum over all shares, in the order of `combine`; of those that storage has lost from their source."""
        is_flat = ranges == 1 and not levels(len(self._indices), self._depth)
        total, has_lost = self._total_of_few(work) if is_flat else self._total_of_many(work, ranges)
        self._storage = self._storage.after(has_lost, total.tokens)
        return total

    def _total_of_few(self, work: Parcel) -> tuple[Partial, bool]:
        """Where no tree is needed: this process has the partial of every share, and asks for no other twice."""
        found = dict(self._storage.partials(work).collect())
        total = _in_order(found)
        if not total.missing:
            return total, False
        return _in_order(found | self._repaired(work, total)), True

    def _total_of_many(self, work: Parcel, ranges: int) -> tuple[Partial, bool]:
        """The sum by a tree or a reduce-scatter; what was missing is added by another one."""
        repaired: dict[int, Partial] = {}
        while True:
            partials = self._storage.partials(work, frozenset(repaired))
            if repaired:
                partials = partials.plus(sorted(repaired.items()))
            total = self._tree(partials) if ranges == 1 else self._reduce_scatter(partials, ranges)
            if not total.missing:
                return total, bool(repaired)
            repaired.update(self._repaired(work, total))

    def _repaired(self, work: Parcel, total: Partial) -> dict[int, Partial]:
        """Partials of the shares that a total misses."""
        found = dict(self._storage.from_source(work, set(total.missing)))
        nothing = Partial(tuple(Sums() for _ in total.sums))  # no rows any more: the fingerprint will tell
        self._storage.refresh()
        return {number: found.get(number, nothing) for number in total.missing}

    def _tree(self, partials: Pairs) -> Partial:
        """The levels of the tree as exchanges of ``(rank, partial)``; a group is sorted before it is added."""
        count, level = len(self._indices), self._ranked(partials)
        for size in levels(count, self._depth):
            count = -(-count // size)
            level = level.through(_grouped(size)).exchanged(count).through(_adder(1))
        return _in_order(dict(level.collect()))

    def _reduce_scatter(self, partials: Pairs, count: int) -> Partial:
        """One exchange of ``(range, (rank, partial))``; each range is added as the tree would add the whole."""
        ranges = self._ranked(partials).through(_cut(count)).exchanged(count)
        added = ranges.through(_adder(self._depth)).collect()
        return Partial.joined([partial for _, partial in sorted(added, key=itemgetter(0))])

    def _ranked(self, partials: Pairs) -> Pairs:
        """Pairs of rank and partial."""
        ranks = {index: rank for rank, index in enumerate(self._indices)}
        # A partition that ingest found empty has no rank; its rows show in the fingerprint.
        return partials.through(_renumbered(ranks))


def _touched_shares(handles: Sequence[BlockHandle]) -> list[float]:
    """How long what each task returns of columns is at most, relative to a number for every column."""
    return [1.0 if h.touched is None else NAMED_LENGTH * h.touched / h.width for h in handles]


def _received(size: AnswerSize, shares: Sequence[float], depth: int) -> int:
    """Bytes that the driver receives of a round whose sums a tree adds up, at most."""
    for branches in levels(len(shares), depth):
        shares = [sum(shares[i : i + branches]) for i in range(0, len(shares), branches)]
    columns = sum(min(share, 1.0) for share in shares)
    return NUMBER_BYTES * int(size.by_coef * columns + size.whole * len(shares) + size.dealt)


def _in_order(partials: dict[int, Partial]) -> Partial:
    """Sum of partials, in the order of their numbers."""
    return Partial.total([partial for _, partial in sorted(partials.items())])


def _renumbered(ranks: dict[int, int]) -> OnPairs:
    """Function for partials: with their ranks as numbers. Runs on executors."""
    return lambda pairs: ((ranks.get(number, len(ranks)), partial) for number, partial in pairs)


def _grouped(size: int) -> OnPairs:
    """Function for ranked partials: by the group of so many that each is in. Runs on executors."""
    return lambda pairs: ((pair[0] // size, pair) for pair in pairs)


def _cut(count: int) -> OnPairs:
    """Function for ranked partials: their ranges, by number. Runs on executors."""
    return lambda pairs: (
        (number, (rank, part)) for rank, partial in pairs for number, part in enumerate(partial.cut(count))
    )


def _adder(depth: int) -> OnPairs:
    """Function for ranked partials of groups, or of ranges: the sum of each. Runs on executors.

    They are added in the order of their ranks, as a tree of that depth adds them.
    """

    def add(pairs: Iterable[Pair]) -> Iterator[Pair]:
        for number, members in groupby(pairs, itemgetter(0)):
            ranked = sorted((member for _, member in members), key=itemgetter(0))
            yield number, combine([partial for _, partial in ranked], depth)

    return add
