"""A past of tangents is one more summand of values, gradients and Hessians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import InverseGaussianLoss, LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.losses.base import Loss
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.past import TangentPast
from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion, HessianQuestion, Tangent, TangentQuestion
from sparkgd.training.rounds import Asked, run_round

P, ROWS = 4, 60
DEVIATIONS = np.array([1.0, 30.0, 0.1, 5.0])

LOSSES: list[Loss] = [SquaredLoss(), LogisticLoss(), MultinomialLoss(3)]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
with_and_without_intercept = pytest.mark.parametrize("fit_intercept", [True, False])


def rows(seed: int, mean: float = 2.0) -> LocalRows:
    random = np.random.default_rng(seed)
    features = (random.normal(size=(ROWS, P)) + mean) * DEVIATIONS
    label = random.integers(0, 2, ROWS).astype(float)
    return LocalRows([Block(DenseFeatures(features), label, random.uniform(0.5, 2.0, ROWS))])


def problem_of(loss: Loss, fit_intercept: bool = True) -> Problem:
    layout = CoefLayout(P, loss.num_outputs, fit_intercept)
    center = 1.5 * DEVIATIONS if fit_intercept else np.zeros(P)
    ones = np.ones(layout.num_weights)
    return Problem(loss, layout, ElasticNet(0.0 * ones, 0.1 * ones), Diagonal(layout, center, 0.7 / DEVIATIONS, 1.3))


def frame_of(problem: Problem) -> Diagonal:
    center = 2.0 * DEVIATIONS if problem.layout.fit_intercept else np.zeros(P)
    return Diagonal(problem.layout, center, 1.0 / DEVIATIONS)


def past_of(problem: Problem, seen: LocalRows, coef: np.ndarray) -> TangentPast:
    frame = frame_of(problem)
    reply: Tangent = run_round([Asked(problem, TangentQuestion(coef, frame.center, frame.scale), seen)])[0].reply
    return TangentPast(frame, coef, reply.value, reply.gradient, reply.hessian, reply.weight)


def points_of(problem: Problem) -> np.ndarray:
    return 0.3 * np.random.default_rng(9).normal(size=(3, problem.layout.size))


@every_loss
@with_and_without_intercept
def test_at_the_tangent_s_own_coef_it_stands_for_its_rows(loss, fit_intercept):
    problem, before, now = problem_of(loss, fit_intercept), rows(1), rows(2)
    point = points_of(problem)[0]
    with_past = replace(problem, past=past_of(problem, before, problem.coordinates.to_raw(point)))
    both = LocalRows([*before.blocks, *now.blocks])
    found = run_round([Asked(with_past, HessianQuestion(point), now)])[0].reply
    expected = run_round([Asked(problem, HessianQuestion(point), both)])[0].reply
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-12)
    np.testing.assert_allclose(found.gradients, expected.gradients, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.hessian, expected.hessian, rtol=1e-9, atol=1e-11)


def test_for_least_squares_it_stands_for_its_rows_everywhere():
    problem, before, now = problem_of(SquaredLoss()), rows(1), rows(2)
    points = points_of(problem)
    with_past = replace(problem, past=past_of(problem, before, problem.coordinates.to_raw(points[0] + 1.0)))
    both = LocalRows([*before.blocks, *now.blocks])
    found = run_round([Asked(with_past, GradientQuestion(points), now)])[0].reply
    expected = run_round([Asked(problem, GradientQuestion(points), both)])[0].reply
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-11)
    np.testing.assert_allclose(found.gradients, expected.gradients, rtol=1e-9, atol=1e-11)


@every_loss
def test_of_some_entries_it_tells_the_part_of_the_hessian_about_them(loss):
    problem = problem_of(loss)
    problem = replace(problem, past=past_of(problem, rows(1), np.zeros(problem.layout.size)))
    point, entries = points_of(problem)[1], np.array([0, 2, problem.layout.size - 1], dtype=np.intp)
    whole = run_round([Asked(problem, HessianQuestion(point), rows(2))])[0].reply.hessian
    part = run_round([Asked(problem, HessianQuestion(point, entries), rows(2))])[0].reply.hessian
    np.testing.assert_allclose(part, whole[np.ix_(entries, entries)], rtol=1e-12, atol=1e-14)


@every_loss
def test_told_from_another_coef_it_is_the_same(loss):
    problem = problem_of(loss)
    past = past_of(problem, rows(1), np.zeros(problem.layout.size))
    points = points_of(problem)
    moved = replace(problem, past=past.at(problem.coordinates.to_raw(points[2])))
    found = [
        run_round([Asked(each, GradientQuestion(points), rows(2))])[0].reply
        for each in (replace(problem, past=past), moved)
    ]
    np.testing.assert_allclose(found[0].values, found[1].values, rtol=1e-12)
    np.testing.assert_allclose(found[0].gradients, found[1].gradients, rtol=1e-10, atol=1e-12)


def test_parts_add_up_and_fade():
    problem = problem_of(LogisticLoss())
    coef = np.full(problem.layout.size, 0.01)
    first, second = past_of(problem, rows(1), coef), past_of(problem, rows(2), coef)
    both = past_of(problem, LocalRows([*rows(1).blocks, *rows(2).blocks]), coef)
    for found, factor in ((first + second, 1.0), ((first + second).times(0.25), 0.25)):
        assert found.value == pytest.approx(factor * both.value, rel=1e-13)
        assert found.weight == pytest.approx(factor * both.weight, rel=1e-13)
        np.testing.assert_allclose(found.gradient, factor * both.gradient, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(found.hessian, factor * both.hessian, rtol=1e-11, atol=1e-12)


def test_the_precision_is_the_hessian_by_the_raw_coef():
    problem = problem_of(LogisticLoss())
    raw = replace(problem, coordinates=Diagonal(problem.layout, np.zeros(P), np.ones(P)))
    seen, coef = rows(1), np.full(problem.layout.size, 0.01)
    past = past_of(problem, seen, coef)
    unpenalised = raw.loss_alone(raw.loss)
    expected = run_round([Asked(unpenalised, HessianQuestion(coef), seen)])[0].reply.hessian * past.weight
    np.testing.assert_allclose(past.precision, expected, rtol=1e-10)


def test_columns_far_from_zero_keep_their_digits():
    """A Hessian of raw columns has lost all of theirs where they are 1e9 deviations from zero."""
    problem = problem_of(SquaredLoss())
    near, far = rows(1, mean=0.0), rows(1, mean=2.0**30)
    shift = 2.0**30 * DEVIATIONS
    at_zero = TangentQuestion(np.zeros(P + 1), np.zeros(P), 1.0 / DEVIATIONS)
    at_shift = TangentQuestion(np.zeros(P + 1), shift, 1.0 / DEVIATIONS)
    expected: Tangent = run_round([Asked(problem, at_zero, near)])[0].reply
    found: Tangent = run_round([Asked(problem, at_shift, far)])[0].reply
    np.testing.assert_allclose(found.hessian, expected.hessian, rtol=1e-5, atol=1e-5)


def test_of_a_loss_that_is_not_convex_the_positive_part_is_kept():
    problem = problem_of(InverseGaussianLoss())
    seen = LocalRows([replace(block, label=block.label + 0.1) for block in rows(1).blocks])
    coef = np.append(np.zeros(P), 3.0)
    frame = frame_of(problem)
    question = TangentQuestion(coef, frame.center, frame.scale)
    sums = seen.round([question.kernel(problem)])[0]
    assert sums.hessian is not None
    summed = np.linalg.eigvalsh(sums.hessian[1:])
    size = np.abs(summed).max()
    assert summed[0] < -1e-3 * size, "else there is nothing to test"
    reply: Tangent = run_round([Asked(problem, question, seen)])[0].reply
    np.testing.assert_allclose(np.linalg.eigvalsh(reply.hessian), np.maximum(summed, 0.0), atol=1e-12 * size)
