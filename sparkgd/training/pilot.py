"""A pilot: the model is first trained on a sample of the rows in the driver, and training moves on from there.

What the solver has learned of the curvature on the way (a Hessian, curvature pairs) is nearly that of all rows, and
stays with it.
"""

from __future__ import annotations

from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Status
from sparkgd.training.outline import Outline
from sparkgd.training.plan import Stages
from sparkgd.training.solving import Resumption
from sparkgd.training.stage import Solved


def pilot(outline: Outline, sample: RowSample) -> Stages[Resumption | None]:
    """Where the solver ends on the sample; None if it diverged there.

    A pilot that learned its sample by heart tells nothing of other rows: the first round over all rows shows, since the
    objective is then above the resumption's limit.
    """
    reduced = sample.reduced(outline.final.problem, None)
    solved: Solved = yield outline.preparing("pilot", sample.tol, problem=reduced.problem, rows=reduced.rows)
    if solved.status is Status.DIVERGED or not solved.objectives:
        return None
    last = solved.objectives[-1]
    return Resumption(solved.solver, last + outline.final.solver.restart_excess * abs(last))
