"""Fits without Spark, from arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import Loss
from sparkgd.penalties import elastic_net
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.history import Outcome
from sparkgd.training.loop import Callback
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stopping import Stopping
from tests.support.blocks import csr, split
from tests.support.plans import final_stage, fit, training_set

Array = npt.NDArray[np.float64]


def block_of(features: Array | sparse.csr_array, label: Array, weight: Array | None = None) -> Block:
    """A block of arrays; sparse features stay sparse."""
    packed = csr(features) if sparse.issparse(features) else DenseFeatures(np.asarray(features, dtype=np.float64))
    return Block(packed, label, np.ones(len(label)) if weight is None else weight)


@dataclass(frozen=True)
class LocalFit:
    """A model to be trained on blocks in this process, in the words of `FitSettings`."""

    loss: Loss
    solver: SolverSettings = SolverSettings()
    reg: float = 0.0
    standardize: bool = False
    fit_intercept: bool = True
    stopping: Stopping = Stopping(100, 1e-6)
    held_out: int = -1
    start: tuple[Array, Array | None] | None = None

    @property
    def settings(self) -> FitSettings:
        """The same for a plan."""
        return FitSettings(
            self.loss, self._penalty, self.fit_intercept, self.standardize, self.solver, self.stopping,
            start=self.start, held_out=self.held_out,
        )  # fmt: skip

    def final(self, blocks: Sequence[Block]) -> Solving:
        """The stage over all rows."""
        return final_stage(self.settings, training_set(blocks, self.held_out))

    def run(self, block: Block, stops: Sequence[int] = (), callbacks: Sequence[Callback] = ()) -> Outcome:
        """Train on the block, cut into partitions at ``stops``."""
        blocks = split(block, stops) if stops else [block]
        return fit(self.settings, training_set(blocks, self.held_out), callbacks)

    def _penalty(self, statistics: Statistics, outputs: int):  # type: ignore[no-untyped-def]
        columns = len(statistics.mean)
        scale = statistics.deviation() if self.standardize else np.ones(columns)
        return elastic_net(self.reg, 0.0, np.tile(scale, outputs))

    def but(self, **changes: object) -> LocalFit:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]
