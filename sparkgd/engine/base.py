"""Where rows live: what every engine does, whether the rows are in this process or on executors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.balance import RowRange
from sparkgd.data.statistics import Group, Statistics
from sparkgd.engine.packed import Packed
from sparkgd.kernels import Block, Kernel, Sums

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array: TypeAlias = npt.NDArray[np.float64]

SAMPLED_BYTES = 32 << 20
"""Of more data than this, wherever rounds run, a sample is worth training on first."""


@dataclass(frozen=True)
class Packing:
    """How rows are packed, and rounds over them run.

    Attributes
    ----------
    dtype : str
        Storage type of the features.
    access : str
        How blocks are scanned, ``map`` or ``read``.
    execution : str
        ``auto``, ``cluster`` or ``driver``.
    depth : int
        Of the tree that adds up partial sums.
    balance : str
        Whether tasks share large partitions, see `sparkgd.data.balance`.
    by_label : bool
        Whether to keep the statistics of each label apart, as class weights need.
    wants_sample : bool
        Whether to draw a sample of the rows, where there are many.
    moments_suffice : bool
        Whether moments are all that is wanted of the rows; those of dense rows may take their place then.
    """

    dtype: str = "float64"
    access: str = "map"
    execution: str = "auto"
    depth: int = 2
    balance: str = "auto"
    by_label: bool = False
    wants_sample: bool = True
    moments_suffice: bool = False


@dataclass(frozen=True)
class PartitionStat:
    """What one task of a round scans: a partition, or a range of rows of a large one (see the param ``balance``).

    Attributes
    ----------
    partition : int
        Number of the partition in which the rows were packed.
    rows, stored, bytes : int
        Rows, stored feature values, and the size of both.
    seconds : float
        Time that packing took; of a range its share by rows.
    host : str
        Machine that has the rows.
    """

    partition: int
    rows: int
    stored: int
    bytes: int
    seconds: float
    host: str


class Engine(ABC):
    """The only thing that knows where rows live: it packs, describes, samples and scans them, and lets them go.

    Attributes
    ----------
    execution : str
        Where rounds run, for people to read.
    packed : Packed
        What is known of the partitions.
    """

    execution: ClassVar[str]
    packed: Packed

    @classmethod
    @abstractmethod
    def pack(cls, df: DataFrame, packing: Packing, description: str) -> Engine:
        """Take the rows of a DataFrame (see `sparkgd.data.columns`); nothing is left behind by an error.

        Jobs are described as given, for whoever watches them.
        """

    @property
    def num_bytes(self) -> int:
        """Size of the packed rows."""
        return self.packed.num_bytes

    @property
    def count(self) -> int:
        """Rows that a round scans."""
        return self.packed.rows

    def statistics(self) -> dict[Group, Statistics]:
        """Statistics of all rows, by group."""
        return self.packed.statistics()

    def partition_stats(self) -> list[PartitionStat]:
        """What each task of a round scans."""
        return [self._stat(share) for share in self.ranges()]

    def _stat(self, share: RowRange) -> PartitionStat:
        part = self.packed.partitions[share.partition]
        handle = part.handle.slice(share.start, share.stop)
        seconds = part.seconds * handle.rows / max(part.handle.rows, 1)
        return PartitionStat(
            share.partition, handle.source_rows, handle.source_stored, handle.num_bytes, seconds, handle.host
        )

    @property
    @abstractmethod
    def storage(self) -> str:
        """What keeps the rows between rounds, and why if it is not what was meant to, for people to read."""

    @abstractmethod
    def ranges(self) -> Sequence[RowRange]:
        """The rows of each task of a round, in the order in which their sums are added."""

    @abstractmethod
    def sample(self) -> list[Block]:
        """A sample of the rows in this process; none where there are few rows, or none was wanted."""

    @abstractmethod
    def weigh_classes(self, factors: Array) -> None:
        """Multiply each row's weight by the factor (K,) of its label, in every round from now on."""

    @abstractmethod
    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """Run every kernel over all blocks in one scan; the sums of each kernel, in order.

        What is missing is made again from the source; rows that are others then stop the fit.
        """

    @abstractmethod
    def release(self) -> None:
        """Drop everything that is kept of the rows, here and elsewhere; a second call finds nothing to do."""
