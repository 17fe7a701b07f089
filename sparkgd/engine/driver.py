"""Rounds in this process, for data that is small once packed: no Spark job at all after ingest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sparkgd.engine.combine import combine
from sparkgd.engine.partial import Work
from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.threads import each_block

Array = npt.NDArray[np.float64]


class DriverEngine:
    """Blocks held in memory, one for each partition; the same kernels and the same order of sums as on a cluster."""

    def __init__(self, blocks: Sequence[Block], depth: int = 2, class_weights: Array | None = None) -> None:
        self._blocks = list(blocks)
        self._class_weights = class_weights
        self._depth = depth

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `sparkgd.training.rounds.Engine`."""
        work = Work(tuple(kernels), self._class_weights, {})
        total = combine(each_block(work.scan, self._blocks), self._depth)
        return [sums.dense() for sums in total.sums]

    def close(self) -> None:
        """Drop the blocks."""
        self._blocks = []
