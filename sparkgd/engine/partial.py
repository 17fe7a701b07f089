"""What one task returns from a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.combine import combine
from sparkgd.kernels.memory import keep_freed_memory
from sparkgd.kernels.running import sums_of
from sparkgd.kernels.sums import joined

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Partial:
    """Sums of every kernel of a round over some partitions.

    Attributes
    ----------
    sums : tuple of Sums
    fingerprint : int
        Sum, modulo 2^64, of the fingerprints of the blocks that were scanned.
    missing : tuple of int
        Partitions whose block was not on the machine that ran the task.
    tokens : tuple of str
        Of blocks that Spark keeps: those that it packed again have others than before.
    """

    sums: tuple[Sums, ...]
    fingerprint: int = 0
    missing: tuple[int, ...] = ()
    tokens: tuple[str, ...] = ()

    def __add__(self, other: Partial) -> Partial:
        return Partial(
            tuple(mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)),
            (self.fingerprint + other.fingerprint) % 2**64,
            self.missing + other.missing,
            self.tokens + other.tokens,
        )

    @classmethod
    def total(cls, parts: Sequence[Partial]) -> Partial:
        """Sum of the parts; for none at all one without sums, whose fingerprint is that of no rows."""
        return combine(parts, 1) if parts else cls(())

    def cut(self, count: int) -> list[Partial]:
        """``count`` ranges of the sums, of which the first has all else."""
        ranges = zip(*[sums.cut(count) for sums in self.sums], strict=True)
        first, *others = (Partial(tuple(sums)) for sums in ranges)
        return [Partial(first.sums, self.fingerprint, self.missing, self.tokens), *others]

    @classmethod
    def joined(cls, ranges: Sequence[Partial]) -> Partial:
        """What was `cut` into these ranges."""
        return cls(
            tuple(joined(sums) for sums in zip(*[part.sums for part in ranges], strict=True)),
            sum(part.fingerprint for part in ranges) % 2**64,
            tuple(partition for part in ranges for partition in part.missing),
            tuple(token for part in ranges for token in part.tokens),
        )


@dataclass(frozen=True, eq=False)
class Work:
    """What a round does with a block; it travels to the executors.

    Attributes
    ----------
    kernels : tuple of Kernel
    class_weights : ndarray (K,) or None
        Factor of each label's sample weights.
    first_rows : dict of int to int
        Number of each partition's first row in the whole dataset.
    """

    kernels: tuple[Kernel, ...]
    class_weights: Array | None
    first_rows: dict[int, int]

    def scan(self, block: Block, fingerprint: int = 0) -> Partial:
        """Run every kernel over a block."""
        keep_freed_memory()
        if self.class_weights is not None:
            block = block.reweighted(self.class_weights)
        return Partial(tuple(sums_of(self.kernels, block)), fingerprint)

    def nothing(self, partition: int) -> Partial:
        """What stands for a partition whose block is missing."""
        return Partial(tuple(Sums() for _ in self.kernels), missing=(partition,))
