"""Screening: a fit under L1 that begins near its optimum is made over the columns that can matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import build_solver
from sparkgd.training.outline import Outline
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.solving import Resumption
from sparkgd.training.stage import Inquiry, Solved

Array = npt.NDArray[np.float64]
Columns = npt.NDArray[np.intp]

SLACK = 0.2
"""Share of the slopes that hold a weight at zero by which one must miss their ends for its column to be left out."""

WORTH = 0.5
"""Share of the columns up to which it is worth it to leave out the others."""


def screened(outline: Outline) -> Stages[Solved]:
    """The stages over all rows of a fit that goes on from a similar one.

    Weights that rested at zero there, with slopes well below those that would move them, stay there in all likelihood:
    their columns leave the products and the messages (strong rules; Tibshirani and others, 2012: Strong rules for
    discarding predictors in lasso-type problems). Whether one was left out that should not have been, the gradient of
    all columns tells at the end; then the fit goes on with it.
    """
    final, resumed = outline.final, outline.final.resumed
    if resumed is None or outline.choice.name != "owlqn":  # others ask for more than products, or have few columns
        whole: Solved = yield final
        return whole
    problem, layout, stopping = final.problem, final.problem.layout, final.stopping
    columns = _kept(problem, resumed.state.point, resumed.state.gradient)
    while len(columns) <= WORTH * layout.num_features:
        inside, entries = problem.among(columns), layout.restricted(columns)[1]
        solver = build_solver(outline.choice.name, replace(outline.context, penalty=inside.solver_penalty))
        begun = Resumption(solver.mapped(resumed.state, entries.of), resumed.limit)
        solved: Solved = yield replace(final, problem=inside, solver=solver, resumed=begun, stopping=stopping)
        if solved.status not in (Status.CONVERGED, Status.STALLED):
            return solved
        state = solver.mapped(solved.solver, entries.spread)
        question = GradientQuestion(state.point[None, :])
        reply = yield Inquiry("columns left out", Asked(problem, question, final.rows))
        missed = np.setdiff1d(_kept(problem, state.point, reply.gradients[0], slack=0.0), columns)
        if not len(missed):
            return solved
        columns = np.union1d(columns, _kept(problem, state.point, reply.gradients[0]))
        resumed = Resumption(state, np.inf)
        stopping = replace(stopping, max_iterations=max(stopping.max_iterations - solved.iteration, 1))
    whole = yield replace(final, resumed=resumed, stopping=stopping)
    return whole


def _kept(problem: Problem, point: Array, gradient: Array, slack: float = SLACK) -> Columns:
    """The columns, ascending, of weights that are not zero, or whose slope is near to moving them from there."""
    left, right = problem.solver_penalty.slopes(point)
    room = np.minimum(right + gradient, -gradient - left)
    holds = (room >= slack * 0.5 * (right - left)) & (left < right)
    rests = (point == 0.0) & (holds | (gradient == 0.0))  # a constant column has no slope, whatever its penalty
    return problem.layout.columns_of(np.flatnonzero(~rests))
