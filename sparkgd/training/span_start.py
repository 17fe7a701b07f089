"""Few rows with many columns: a fit with L2 starts from the minimiser in the span of the rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sparkgd.reductions.row_span import RowSpan
from sparkgd.solvers.base import Status
from sparkgd.solvers.newton import Newton
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.solving import Solving
from sparkgd.training.stage import Inquiry, Solved
from sparkgd.training.stopping import Stopping

Array = npt.NDArray[np.float64]

TIGHT = 1e-16
"""Tolerance, near rounding: iterations cost little here, and a gap of 1e-16 still means a gradient of 1e-8."""


def span_start(final: Solving, reduction: RowSpan) -> Stages[Array]:
    """The raw coef that minimises the problem, found by one question; the stage's own start if that fails."""
    problem = final.problem
    rows = yield Inquiry("rows", Asked(problem, reduction.question(problem, np.empty((0, 0))), final.rows))
    span = reduction.reduced(problem, rows)
    solved: Solved = yield replace(
        final,
        name="span of the rows",
        problem=span.problem,
        rows=span.rows,
        solver=Newton(
            is_quadratic=problem.loss.is_quadratic,
            scales=problem.layout.num_scalars,
            can_be_curved=problem.loss.can_be_curved,
        ),
        stopping=Stopping(final.stopping.max_iterations, TIGHT),
        start_coef=reduction.start(span, problem, final.start_coef),
        is_final=False,
    )
    return final.start_coef if solved.status is Status.DIVERGED else span.lifted(solved.coef)
