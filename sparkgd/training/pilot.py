"""A pilot: the model is first trained on a sample of the rows in the driver, and training moves on from there.

A sample of n rows for p columns ends about ``p / 2n`` above the optimum, in no round at all. What the solver has
learned of the curvature on the way (a Hessian, curvature pairs) is nearly that of all rows, and stays with it. A solver
that cannot afford Hessians of all rows goes on with that of the sample (see `sparkgd.training.sampled_hessian`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkgd.kernels import Block
from sparkgd.solvers.base import Status
from sparkgd.training.loop import Resumption, Task, train
from sparkgd.training.rounds import Engine


@dataclass(frozen=True)
class Pilot:
    """A sample of the rows, in this process.

    Attributes
    ----------
    engine : Engine
    blocks : sequence of Block
        What the engine scans.
    tol : float
        Tolerance: what a pilot gets wrong for want of rows is more.
    """

    engine: Engine
    blocks: Sequence[Block]
    tol: float = 1e-3

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return sum(block.rows for block in self.blocks)

    def solve(self, task: Task) -> Resumption | None:
        """Where the solver ends on the sample; None if it diverged there.

        A pilot that learned its sample by heart tells nothing of other rows: the first round over all rows shows.
        """
        outcome = train(self.engine, [task])[0]
        if outcome.ending.status is Status.DIVERGED:
            return None
        return Resumption(outcome.state, (1.0 + task.solver.restart_excess) * outcome.objectives[-1])
