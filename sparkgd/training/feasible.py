"""Where to start if zero weights will not do: some losses are defined for some raw predictions only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidDataError
from sparkgd.losses.base import Loss
from sparkgd.questions import CompoundQuestion, GradientQuestion, LossAloneQuestion
from sparkgd.solvers.base import Solver
from sparkgd.solvers.lbfgs import Lbfgs
from sparkgd.solvers.newton import Newton
from sparkgd.training.auto import NEWTON_SIZE
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.solving import Solving
from sparkgd.training.stage import Inquiry, Solved
from sparkgd.training.stopping import Stopping

Array = npt.NDArray[np.float64]

STOPPING = Stopping(max_iterations=50, tol=1e-6)


def is_feasible(final: Solving, statistics: Statistics) -> bool:
    """Whether the loss is defined where a stage starts, if that is a model without features.

    Asked with the smallest and largest offset and with none: without an intercept, small offsets leave all rows at the
    very edge, from where no solver gets away quickly.
    """
    offsets = np.array([0.0, statistics.offset_low, statistics.offset_high])
    raw = final.problem.layout.intercepts(final.start_coef) + offsets[:, None]
    return bool(final.problem.loss.accepts(raw).all())


def feasible_start(final: Solving, statistics: Statistics) -> Stages[Array]:
    """A raw coef for which the loss is defined at every row, near the optimum as a rule; some rounds.

    The loss's approaches are minimised one after the other, each from where the last one ended, until the last and
    least of them is zero, and so the objective finite. Three rounds, where the first does: a least squares fit.

    Raises
    ------
    InvalidDataError
        If none was found.
    """
    coef, loss = final.start_coef, final.problem.loss
    approaches, objective = loss.approaches(statistics.label), np.inf
    for approach in approaches:
        solved: Solved = yield _approaching(final, approach, coef)
        coef = solved.coef
        if solved.is_halted:
            return coef
        least, objective = yield from _values(final, approaches[-1], coef)
        if least == 0.0 and np.isfinite(objective):
            return coef
    if np.isfinite(objective):
        return coef
    raise InvalidDataError(
        f"no coefs were found with which every row has a mean that the {loss.name} loss allows; fit an intercept if "
        "there is none, check the offsets, or use a link that takes every raw prediction, such as log"
    )


def _approaching(final: Solving, approach: Loss, coef: Array) -> Solving:
    """A stage that minimises nothing but an approach."""
    problem = final.problem.loss_alone(approach)
    is_small = problem.layout.size <= NEWTON_SIZE
    solver: Solver[Any] = Newton(is_quadratic=approach.is_quadratic) if is_small else Lbfgs()
    return replace(
        final,
        name="a start that the loss accepts",
        problem=problem,
        solver=solver,
        stopping=STOPPING,
        start_coef=coef,
        is_final=False,
    )


def _values(final: Solving, approach: Loss, coef: Array) -> Stages[tuple[float, float]]:
    """An approach and the smooth part of the objective at a coef."""
    question = GradientQuestion(final.problem.coordinates.from_raw(coef)[None, :])
    both = CompoundQuestion((LossAloneQuestion(question, approach), question))
    reply = yield Inquiry("starting point", Asked(final.problem, both, final.rows))
    least, objective = (float(part.values[0]) for part in reply.parts)
    return least, objective
