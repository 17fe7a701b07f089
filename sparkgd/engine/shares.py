"""Which task of a round scans which rows: a share is a partition's block or, of a large one, a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sparkgd.data.balance import RowRange
from sparkgd.data.blockfile import BlockHandle
from sparkgd.engine.executors import OnPairs, Pair, Pairs
from sparkgd.engine.handles import read_handles
from sparkgd.engine.ingest import ResidentPacked

Cuts = dict[int, list[tuple[int, RowRange]]]
"""The shares of each partition, by their numbers."""


@dataclass(frozen=True, eq=False)
class Shares:
    """The rows of a packed dataset, dealt to the tasks of a round.

    Attributes
    ----------
    packed : ResidentPacked
    ranges : dict of int to RowRange
        All rows in order. A share's number is that of its partition in `handles`.
    """

    packed: ResidentPacked
    ranges: dict[int, RowRange]

    @classmethod
    def of(cls, packed: ResidentPacked, ranges: Sequence[RowRange] = ()) -> Shares:
        """Shares of the given ranges; without any, or with one for each partition, the partitions as they are."""
        if len(ranges) > len(packed.partitions):
            return cls(packed, dict(enumerate(ranges)))
        parts = sorted(packed.partitions.items())
        return cls(packed, {index: RowRange(index, 0, part.handle.rows) for index, part in parts})

    @property
    def are_partitions(self) -> bool:
        """Whether each partition is one share."""
        return len(self.ranges) == len(self.packed.partitions)

    def slices(self) -> dict[int, BlockHandle]:
        """What ingest reported of each share."""
        return {number: _slice(self.packed.partitions[r.partition].handle, r) for number, r in self.ranges.items()}

    def handles(self) -> Pairs:
        """The cached handles, or those of the slices, by the numbers of shares.

        Slices are dealt by one exchange of handles. It lets every executor of a machine scan them, and a partition that
        was lost is packed again before the slices of the new block are dealt.
        """
        kept = self.packed.handles
        return kept.cached if self.are_partitions else kept.dealt(_dealer(self.cuts()), len(self.ranges))

    def cuts(self) -> Cuts:
        """The shares of each partition."""
        cuts: Cuts = {}
        for number, rows in self.ranges.items():
            cuts.setdefault(rows.partition, []).append((number, rows))
        return cuts


def slices_of(index: int, handle: BlockHandle, cuts: Cuts) -> Iterator[tuple[int, BlockHandle]]:
    """The shares of a partition's block. Runs on executors."""
    for number, rows in cuts.get(index, []):
        yield number, _slice(handle, rows)


def _slice(handle: BlockHandle, rows: RowRange) -> BlockHandle:
    return handle.slice(rows.start, rows.stop)


def _dealer(cuts: Cuts) -> OnPairs:
    """Function for handles of partitions: those of slices, by share. Runs on executors."""

    def deal(pairs: Iterable[Pair]) -> Iterator[Pair]:
        for index, handle, seconds in read_handles(pairs):
            for number, part in slices_of(index, handle, cuts):
                yield number, (part, seconds, None)

    return deal
