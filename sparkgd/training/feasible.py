"""Where to start if zero weights will not do: some losses are defined for some raw predictions only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidDataError
from sparkgd.losses.base import Loss
from sparkgd.penalties import NoPenalty
from sparkgd.solvers.base import GradientRequest, Solver
from sparkgd.solvers.lbfgs import Lbfgs
from sparkgd.solvers.newton import Newton
from sparkgd.training.auto import NEWTON_SIZE
from sparkgd.training.loop import Task, train
from sparkgd.training.rounds import Engine, Question, run_round
from sparkgd.training.stopping import Stopping

Array = npt.NDArray[np.float64]

MAX_ITERATIONS = 50
TOL = 1e-6


def is_feasible(task: Task, statistics: Statistics) -> bool:
    """Whether the loss is defined where a task starts, if that is a model without features.

    Asked with the smallest and largest offset and with none: without an intercept, small offsets leave all rows at the
    very edge, from where no solver gets away quickly.
    """
    offsets = np.array([0.0, statistics.offset_low, statistics.offset_high])
    raw = task.objective.layout.intercepts(task.start) + offsets[:, None]
    return bool(task.objective.loss.accepts(raw).all())


def feasible_start(task: Task, statistics: Statistics, engine: Engine) -> Array:
    """A raw coef for which the loss is defined at every row, near the optimum as a rule; some rounds.

    The loss's approaches are minimised one after the other, each from where the last one ended, until the last and
    least of them is zero, and so the objective finite. Three rounds, where the first does: a least squares fit.

    Raises
    ------
    InvalidDataError
        If none was found.
    """
    coef, loss = task.start, task.objective.loss
    tasks = [_approaching(task, approach) for approach in loss.approaches(statistics.label)]
    objective = np.inf
    for approaching in tasks:
        coef = train(engine, [replace(approaching, start=coef)])[0].coef
        least, objective = _values([tasks[-1], task], coef, engine)
        if least == 0.0 and np.isfinite(objective):
            return coef
    if np.isfinite(objective):
        return coef
    raise InvalidDataError(
        f"no coefs were found with which every row has a mean that the {loss.name} loss allows; fit an intercept if "
        "there is none, check the offsets, or use a link that takes every raw prediction, such as log"
    )


def _approaching(task: Task, approach: Loss) -> Task:
    """A task that minimises nothing but an approach."""
    objective = replace(task.objective, loss=approach, penalty=NoPenalty(), intercept_penalty=NoPenalty())
    is_small = objective.layout.size <= NEWTON_SIZE
    solver: Solver[Any] = Newton(is_quadratic=approach.is_quadratic) if is_small else Lbfgs()
    return replace(task, objective=objective, solver=solver, stopping=Stopping(MAX_ITERATIONS, TOL))


def _values(tasks: Sequence[Task], coef: Array, engine: Engine) -> list[float]:
    """Objectives of several tasks, of the same coordinates, at a coef; one round."""
    request = GradientRequest(tasks[0].objective.coordinates.from_raw(coef)[None, :])
    questions = [Question(task.objective, request, task.weight_sum) for task in tasks]
    answers = run_round(engine, questions, f"{tasks[0].name}: starting point")
    return [float(answer.reply.values[0]) for answer in answers]
