"""Rows that a round can be about: somewhere, or in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.combine import combine
from sparkgd.kernels.running import sums_of
from sparkgd.kernels.threads import each_block


class Rows(Protocol):
    """Rows, wherever they are: all of a dataset, or a few that stand for them."""

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """Run every kernel over all blocks in one scan; the sums of each kernel, in order."""
        ...


@dataclass(frozen=True, eq=False)
class LocalRows:
    """Blocks in this process.

    Attributes
    ----------
    blocks : sequence of Block
    depth : int
        Of the tree in whose order their sums are added; 1 adds one after the other.
    """

    blocks: Sequence[Block]
    depth: int = 1

    @property
    def count(self) -> int:
        """Rows of all blocks."""
        return sum(block.rows for block in self.blocks)

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Rows`."""
        found = each_block(lambda block: sums_of(kernels, block), self.blocks)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = [[of_block[i] for of_block in found] for i in range(len(kernels))]
            return [combine(sums, self.depth).dense() if sums else Sums() for sums in parts]
