"""A packed dataset: what the driver knows of each partition after ingest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from sparkgd.data.blockfile import BlockHandle
from sparkgd.data.statistics import Group, Statistics
from sparkgd.kernels.block import Block
from sparkgd.reductions.sample import SAMPLE_BYTES, sample_of

CHANGED = (
    "the input changed while it was read again: a partition that was packed again holds other rows. Its source is not "
    "deterministic (a rand(), a table overwritten meanwhile); cache or checkpoint the DataFrame before fit."
)
"""What is said of rows that differ from those of ingest."""


@dataclass(frozen=True)
class PackedPartition:
    """What ingest reports of one partition.

    Attributes
    ----------
    handle : BlockHandle
    statistics : dict of Group to Statistics
        Of the ``columns`` alone where these are named.
    seconds : float
        Time to read and pack the partition.
    block : Block or None
        The rows themselves where they are few enough to be shipped at once.
    columns : ndarray of int32 or None
        The columns that store anything, where these are few; see `WideFeatures`.
    kept_back : int
        Bytes of the statistics and columns, if they were too large to be sent at once; there are none then. Ingest
        fetches them before anybody else sees the partition.
    shipped_sample : Block or None
        A sample of the rows, where there is one and these were not shipped themselves.
    """

    handle: BlockHandle
    statistics: dict[Group, Statistics]
    seconds: float
    block: Block | None
    columns: npt.NDArray[np.int32] | None = None
    kept_back: int = 0
    shipped_sample: Block | None = None

    def sample(self, share: float) -> Block | None:
        """A sample of the rows, of that share where they are in this process; None where there is none."""
        return self.shipped_sample if self.block is None else sample_of(self.block, share, self.statistics)

    def whole_statistics(self) -> dict[Group, Statistics]:
        """Statistics of all columns."""
        if self.columns is None:
            return self.statistics
        width = self.handle.width
        return {group: part.spread(self.columns, width) for group, part in self.statistics.items()}


@dataclass(frozen=True, eq=False)
class Packed:
    """The partitions that have rows, by partition number; here all of them are in this process."""

    partitions: dict[int, PackedPartition]

    @property
    def num_bytes(self) -> int:
        """Size of all blocks."""
        return sum(part.handle.num_bytes for part in self.partitions.values())

    @property
    def rows(self) -> int:
        """Rows of all blocks."""
        return sum(part.handle.rows for part in self.partitions.values())

    def handles_by_partition(self) -> dict[int, BlockHandle]:
        """The handle of each partition."""
        return {index: part.handle for index, part in sorted(self.partitions.items())}

    def fingerprints(self) -> tuple[str, ...]:
        """What tells the rows of each partition, in their order, from others."""
        handles = self.handles_by_partition().items()
        return tuple(f"{index}:{handle.source_rows}:{handle.ordered_fingerprint:x}" for index, handle in handles)

    def statistics(self) -> dict[Group, Statistics]:
        """Statistics of all rows, by group."""
        merged: dict[Group, Statistics] = {}
        for index in sorted(self.partitions):
            for group, part in self.partitions[index].whole_statistics().items():
                merged[group] = merged[group] + part if group in merged else part
        return dict(sorted(merged.items()))

    def sample(self) -> list[Block]:
        """At most `SAMPLE_BYTES` of the rows, some of each partition, numbered through."""
        share = SAMPLE_BYTES / max(self.num_bytes, 1)
        samples = [self.partitions[index].sample(share) for index in sorted(self.partitions)]
        return numbered([sample for sample in samples if sample is not None])

    def blocks(self) -> list[Block]:
        """The blocks themselves, in order and numbered through."""
        found = self._found()
        return numbered([found[index] for index in sorted(found)])

    def _found(self) -> dict[int, Block]:
        """The blocks by partition."""
        return {index: part.block for index, part in self.partitions.items() if part.block is not None}


def numbered(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with the numbers of their first rows, in this order."""
    first_rows = accumulate((block.rows for block in blocks), initial=0)
    return [replace(block, first_row=first) for block, first in zip(blocks, first_rows, strict=False)]
