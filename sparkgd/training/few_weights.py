"""Newton's method for many coefs of which an L1 penalty leaves few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparkgd.questions import GradientQuestion
from sparkgd.solvers.pieces import free_entries, steepest_descent
from sparkgd.solvers.registry import build_solver
from sparkgd.training.auto import NEWTON_SIZE, NEWTON_WORK, Choice
from sparkgd.training.outline import Outline
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.stage import Inquiry


def with_few_weights(outline: Outline) -> Stages[Outline]:
    """Newton's method in place of OWL-QN, which has the same coordinates, where few weights will not be zero.

    How many coefs the steepest descent moves at the start is a bound that seldom fails: from the null model these are
    the columns that L1 does not screen out, and columns that share what they explain stand in for each other
    (Tibshirani and others, 2012: Strong rules for discarding predictors in lasso-type problems).
    """
    final, context = outline.final, outline.context
    problem = final.problem
    if outline.choice.name != "owlqn" or not problem.loss.has_curvature or problem.layout.size <= NEWTON_SIZE:
        return outline
    point, penalty = problem.point(final.start_coef), problem.solver_penalty
    reply = yield Inquiry("first gradient", Asked(problem, GradientQuestion(point[None, :]), final.rows))
    free = free_entries(penalty, point, steepest_descent(penalty, point, reply.gradients[0]))
    moving = int(np.count_nonzero(free))
    if moving > NEWTON_SIZE or context.rows * moving**2 > NEWTON_WORK:
        return outline
    reason = f"the first gradient moves {moving} coefs: only these need a Hessian"
    final = replace(final, solver=build_solver("newton", context))
    return replace(outline, final=final, choice=Choice("newton", reason))
