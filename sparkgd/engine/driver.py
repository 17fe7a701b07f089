"""Rows in this process, for data that are small once packed: no Spark job at all after ingest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from sparkgd.data.balance import SKEW_LIMIT, RowRange, row_ranges_of
from sparkgd.engine.base import SAMPLED_BYTES, Engine, Packing
from sparkgd.engine.ingest import ingest_small
from sparkgd.engine.packed import Packed
from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.local_rows import LocalRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array = npt.NDArray[np.float64]


class DriverEngine(Engine):
    """Blocks held in memory, one for each partition; the same kernels and the same order of sums as on a cluster.

    Parameters
    ----------
    blocks : sequence of Block
    depth : int
        Of the tree in whose order sums are added.
    packed : Packed
        What is known of the partitions.
    packing : Packing
    reason : str
        Why the rows are here, if not because they are few.
    """

    execution: ClassVar[str] = "driver"

    def __init__(
        self,
        blocks: Sequence[Block],
        depth: int = 2,
        packed: Packed | None = None,
        packing: Packing | None = None,
        reason: str = "",
    ) -> None:
        self._reason = reason
        self._rows = LocalRows(list(blocks), depth)
        self._packing = packing or Packing()
        self._factors: Array | None = None
        self.packed = packed or Packed({})

    @classmethod
    def pack(cls, df: DataFrame, packing: Packing, description: str) -> DriverEngine:
        """Collect the rows, without any Python worker: for data that Spark knows to be small."""
        packed = ingest_small(df, packing)
        return cls(packed.blocks(), packing.depth, packed, packing)

    def ranges(self) -> list[RowRange]:
        """Each partition, as one."""
        return row_ranges_of(self.packed.handles_by_partition(), 1, SKEW_LIMIT[self._packing.balance])

    def sample(self) -> list[Block]:
        """See `Engine`."""
        return sample_of_packed(self.packed, self._packing, self._factors)

    def weigh_classes(self, factors: Array) -> None:
        """See `Engine`."""
        self._factors = factors
        self._rows = LocalRows([block.reweighted(factors) for block in self._rows.blocks], self._rows.depth)

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Engine`."""
        return self._rows.round(kernels)

    @property
    def storage(self) -> str:
        """See `Engine`."""
        return "memory of this process" + (f", since {self._reason}" if self._reason else "")

    def release(self) -> None:
        """Drop the blocks."""
        self._rows = LocalRows([])


def sample_of_packed(packed: Packed, packing: Packing, factors: Array | None) -> list[Block]:
    """A sample of the rows where there are many and one is wanted, with class weights."""
    sample = packed.sample() if packing.wants_sample and packed.num_bytes > SAMPLED_BYTES else []
    return sample if factors is None else [block.reweighted(factors) for block in sample]
