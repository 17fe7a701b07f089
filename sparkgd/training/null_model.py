"""How strong a penalty must be for nothing to be learned: where a path of models begins."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion
from sparkgd.training.outline import Outline, TrainingSet, outlined
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stage import Inquiry, Solved

Array: TypeAlias = npt.NDArray[np.float64]

NULL_TOL = 1e-9
"""Tolerance of the model without the penalised weights, and the share of a slope that counts as none."""

RIDGE_SHARE = 1e-3
"""A penalty without L1 holds no weight at zero; its path begins where one with this share of L1 would do so."""


def zero_factor(settings: FitSettings, data: TrainingSet) -> Stages[float]:
    """The factor of the penalty at which all weights that it penalises are zero, and below which some are not.

    This is the dual norm of the loss's gradient in the best model without these weights (Friedman, Hastie and
    Tibshirani, 2010: Regularization paths for generalized linear models via coordinate descent, section 2.5).
    """
    outline = yield from outlined(replace(settings, start=None, lead=None), data)
    problem = _plain(outline)
    slope = yield from _slope(outline, problem, outline.final.start_coef)
    penalised = _penalised(problem)
    unpenalised = np.concatenate([slope[: len(penalised)][~penalised], slope[len(penalised) :]])
    if problem.penalty.is_smooth or np.max(np.abs(unpenalised), initial=0.0) <= NULL_TOL * np.max(np.abs(slope)):
        return _factor(problem, slope)
    solved: Solved = yield _without(outline, penalised)
    return _factor(problem, (yield from _slope(outline, problem, solved.coef)))


def _plain(outline: Outline) -> Problem:
    """The problem in weights of centred columns, which are those of the raw ones."""
    problem, mean = outline.final.problem, outline.data.statistics.mean
    center = mean if outline.settings.is_centred else np.zeros_like(mean)
    scale = np.where(problem.coordinates.fixed[: len(mean)], 0.0, 1.0)
    return replace(problem, coordinates=Diagonal(problem.layout, center, scale))


def _penalised(problem: Problem) -> npt.NDArray[np.bool_]:
    """Weights that a strong penalty holds at zero, or near it."""
    count = problem.layout.num_weights
    if problem.penalty.is_smooth:
        return np.asarray(problem.penalty.smooth_curvature(count) > 0.0)
    return problem.penalty.pulls_to_zero(count)


def _slope(outline: Outline, problem: Problem, coef: Array) -> Stages[Array]:
    """Gradient of the loss at a coef whose penalised weights are zero."""
    question = GradientQuestion(problem.point(coef)[None, :])
    reply = yield Inquiry("null model", Asked(problem, question, outline.data.rows))
    slope: Array = reply.gradients[0]
    return slope


def _without(outline: Outline, penalised: npt.NDArray[np.bool_]) -> Solving:
    """The stage that finds the best model without the penalised weights."""
    problem = outline.final.problem
    columns = np.asarray(penalised.reshape(problem.layout.num_linear, -1).all(axis=0))
    held = replace(problem, coordinates=problem.coordinates.holding(columns))
    return outline.preparing("null model", NULL_TOL, problem=held)


def _factor(problem: Problem, slope: Array) -> float:
    penalty, weights = problem.penalty, slope[: problem.layout.num_weights]
    if not penalty.is_smooth:
        return penalty.zero_factor(weights)
    penalised, curvature = _penalised(problem), penalty.smooth_curvature(len(weights))
    return float(np.max(np.abs(weights[penalised]) / np.sqrt(curvature[penalised]), initial=0.0) / RIDGE_SHARE)
