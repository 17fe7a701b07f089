"""A pilot: the model is first trained on a sample of the rows in the driver, and training moves on from there.

A sample of n rows for p columns ends about ``p / 2n`` above the optimum, in no round at all. What the solver has
learned of the curvature on the way (a Hessian, curvature pairs) is nearly that of all rows, and stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.solvers.base import GradientRequest, State, Status
from sparkgd.training.loop import Task, train
from sparkgd.training.rounds import Engine, Question, run_round

Array = npt.NDArray[np.float64]

OPTIMISM = 0.1
"""Share by which the objective may be higher on rows not seen than on rows seen; more was learned by heart."""

STANDARD_ERRORS = 5.0
"""What chance may add to that, in standard errors of the rows not seen; one is about ``1 / sqrt(rows)``."""

CHECKED = 5
"""One in so many rows of a sample is kept to check the pilot."""


@dataclass(frozen=True)
class Pilot:
    """A sample of the rows, in this process.

    Attributes
    ----------
    seen : Engine
        Over the rows to train on.
    unseen : Engine
        Over the rows to check the result with.
    rows : int
        Of both.
    tol : float
        Tolerance: what a pilot gets wrong for want of rows is more.
    """

    seen: Engine
    unseen: Engine
    rows: int
    tol: float = 1e-3

    def solve(self, task: Task) -> State | None:
        """Where the solver ends on the sample; None if that is no better than nothing on rows not seen."""
        outcome = train(self.seen, [task])[0]
        if outcome.ending.status is Status.DIVERGED:
            return None
        point = outcome.state.point
        seen, unseen = (_objective(task, engine, point) for engine in (self.seen, self.unseen))
        allowed = 1.0 + OPTIMISM + STANDARD_ERRORS / np.sqrt(self.rows / CHECKED)
        return outcome.state if unseen <= allowed * seen else None


def split_sample(sample: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """The rows of a sample to train on, and those to check with."""
    seen, unseen = [], []
    for block in sample:
        rows = np.arange(block.rows)
        is_checked = rows % CHECKED == CHECKED - 1
        seen.append(block.take(rows[~is_checked]))
        unseen.append(block.take(rows[is_checked]))
    return seen, unseen


def _objective(task: Task, engine: Engine, point: Array) -> float:
    request = GradientRequest(point[None, :])
    reply = run_round(engine, [Question(task.objective, request, task.weight_sum)])[0].reply
    return task.objective.total(float(reply.values[0]), point)
