"""A pilot: the model is first trained on a sample of the rows in the driver, and training moves on from there.

What the solver has learned of the curvature on the way (a Hessian, curvature pairs) is nearly that of all rows, and
stays with it.
"""

from __future__ import annotations

from dataclasses import replace

from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import build_solver
from sparkgd.solvers.settings import SolverContext
from sparkgd.training.plan import Stages
from sparkgd.training.solving import Resumption, Solving
from sparkgd.training.stage import Solved
from sparkgd.training.stopping import Stopping


def pilot(final: Solving, sample: RowSample, name: str, context: SolverContext) -> Stages[Resumption | None]:
    """Where the named solver ends on the sample; None if it diverged there.

    A pilot that learned its sample by heart tells nothing of other rows: the first round over all rows shows, since the
    objective is then above the resumption's limit.
    """
    reduced = sample.reduced(final.problem, None)
    solved: Solved = yield replace(
        final,
        name="pilot",
        problem=reduced.problem,
        rows=reduced.rows,
        solver=build_solver(name, replace(context, tol=sample.tol)),
        stopping=Stopping(final.stopping.max_iterations, sample.tol),
        is_final=False,
    )
    if solved.status is Status.DIVERGED or not solved.objectives:
        return None
    last = solved.objectives[-1]
    return Resumption(solved.solver, last + final.solver.restart_excess * abs(last))
