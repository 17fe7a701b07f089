"""A pilot: the model is first trained on a sample of the rows in the driver, and training moves on from there.

A sample of n rows for p columns ends about ``p / 2n`` above the optimum, in no round at all. What the solver has
learned of the curvature on the way (a Hessian, curvature pairs) is nearly that of all rows, and stays with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkgd.solvers.base import Status
from sparkgd.training.few_rows import FewRows
from sparkgd.training.loop import Resumption, Task, train


@dataclass(frozen=True)
class Pilot:
    """A sample of the rows, in this process.

    Attributes
    ----------
    sample : FewRows
    tol : float
        Tolerance: what a pilot gets wrong for want of rows is more.
    """

    sample: FewRows
    tol: float = 1e-3

    @property
    def rows(self) -> int:
        """Rows of the sample."""
        return self.sample.rows

    def solve(self, task: Task) -> Resumption | None:
        """Where the solver ends on the sample; None if it diverged there.

        A pilot that learned its sample by heart tells nothing of other rows: the first round over all rows shows.
        """
        outcome = train(self.sample, [task])[0]
        if outcome.ending.status is Status.DIVERGED:
            return None
        return Resumption(outcome.state, (1.0 + task.solver.restart_excess) * outcome.objectives[-1])
