"""Rounds over few rows in this process, beside those over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.threads import each_block


@dataclass(frozen=True)
class FewRows:
    """An engine over blocks in this process.

    Attributes
    ----------
    blocks : sequence of Block
        One at least; class weights are in their weights already.
    """

    blocks: Sequence[Block]

    @property
    def rows(self) -> int:
        """Rows of all blocks."""
        return sum(block.rows for block in self.blocks)

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `sparkgd.training.rounds.Engine`."""
        parts = each_block(lambda block: [kernel(block) for kernel in kernels], self.blocks)
        return [reduce(add, sums).dense() for sums in zip(*parts, strict=True)]

    def close(self) -> None:
        """Nothing to drop."""
