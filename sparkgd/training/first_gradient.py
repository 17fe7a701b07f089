"""What the gradient at the start tells of a sparse solution."""

from __future__ import annotations

import numpy as np

from sparkgd.solvers.base import GradientRequest
from sparkgd.solvers.pieces import free_entries, steepest_descent
from sparkgd.training.loop import Task
from sparkgd.training.rounds import Engine, Question, run_round


def moving_coefs(task: Task, engine: Engine) -> int:
    """How many coefs the steepest descent moves at the start, by one round.

    From the null model these are the columns that L1 does not screen out; a solution seldom has more nonzero weights,
    since columns that share what they explain stand in for each other (Tibshirani and others, 2012: Strong rules for
    discarding predictors in lasso-type problems).
    """
    objective = task.objective
    point, penalty = objective.point(task.start), objective.solver_penalty
    question = Question(objective, GradientRequest(point[None, :]), task.weight_sum)
    gradient = run_round(engine, [question], f"{task.name}: first gradient")[0].reply.gradients[0]
    return int(np.count_nonzero(free_entries(penalty, point, steepest_descent(penalty, point, gradient))))
