"""What the gradient at the start tells of a sparse solution."""

from __future__ import annotations

import numpy as np

from sparkgd.solvers.pieces import free_entries, steepest_descent
from sparkgd.training.loop import Task
from sparkgd.training.rounds import Engine


def moving_coefs(task: Task, engine: Engine) -> int:
    """How many coefs the steepest descent moves at the start, by one round.

    From the null model these are the columns that L1 does not screen out; a solution seldom has more nonzero weights,
    since columns that share what they explain stand in for each other (Tibshirani and others, 2012: Strong rules for
    discarding predictors in lasso-type problems).
    """
    objective = task.objective
    point, penalty = objective.point(task.start), objective.solver_penalty
    gradient = task.gradient_at(point, engine, "first gradient").gradients[0]
    return int(np.count_nonzero(free_entries(penalty, point, steepest_descent(penalty, point, gradient))))
