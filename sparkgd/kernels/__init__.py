"""The hot code: loss x block x points -> sums. Pure NumPy and SciPy; runs on executors and in the driver alike."""

from __future__ import annotations

from typing import Protocol

from sparkgd.kernels.block import Block
from sparkgd.kernels.sums import AnswerSize, Sums

__all__ = ["AnswerSize", "Block", "Kernel", "Sums"]


class Kernel(Protocol):
    """What a round runs on every block: picklable settings, a pure function of the block."""

    def __call__(self, block: Block) -> Sums: ...

    @property
    def answer_size(self) -> AnswerSize:
        """What it returns of a block, at most."""
        ...
