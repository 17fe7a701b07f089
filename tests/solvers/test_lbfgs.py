"""L-BFGS with a metric."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from sparkgd.questions import GradientQuestion, Reply
from sparkgd.solvers.base import Status
from sparkgd.solvers.lbfgs import Lbfgs, LbfgsState, inverse_hessian_product, scaled_inverse
from sparkgd.solvers.newton import Newton

N = 12


@dataclass(frozen=True, eq=False)
class Fixed:
    """A matrix that is the same everywhere."""

    matrix: np.ndarray

    def at(self, point):
        return self

    def solve(self, vector):
        return np.linalg.solve(self.matrix, vector)

    def product(self, vector):
        return self.matrix @ vector


def hessian() -> np.ndarray:
    root = np.random.default_rng(0).standard_normal((N, N)) * np.geomspace(1.0, 30.0, N)
    return root.T @ root + np.eye(N)


def told(solver: Lbfgs, state: LbfgsState, matrix: np.ndarray) -> LbfgsState:
    """The state after a round on the quadratic ``(u - 1)^T H (u - 1) / 2``."""
    question = solver.ask(state)
    assert isinstance(question, GradientQuestion)
    away = question.points - 1.0
    return solver.tell(state, Reply(0.5 * np.einsum("mi,ij,mj->m", away, matrix, away), away @ matrix))


def test_with_the_hessian_as_metric_a_quadratic_takes_one_step():
    matrix = hessian()
    solver = Lbfgs(metric=Fixed(matrix))
    state = told(solver, told(solver, solver.start(np.zeros(N)), matrix), matrix)
    assert state.iteration == 1
    np.testing.assert_allclose(state.point, 1.0, rtol=1e-9)


@pytest.mark.parametrize("with_metric", [False, True])
def test_the_last_pair_is_met_whatever_the_metric(with_metric):
    random, matrix = np.random.default_rng(1), hessian()
    moves = random.standard_normal((4, N))
    changes = moves @ matrix
    metric = Fixed(np.diag(random.uniform(0.5, 2.0, N)))
    solve = metric.solve if with_metric else None
    found = inverse_hessian_product(moves, changes, changes[-1], np.ones(N, dtype=bool), solve)
    np.testing.assert_allclose(found, moves[-1], rtol=1e-8)


@pytest.mark.parametrize("with_metric", [False, True])
def test_restricted_pairs_are_those_of_the_free_entries_alone(with_metric):
    random, matrix = np.random.default_rng(2), hessian()
    free = np.arange(N) % 3 != 0
    moves, vector = np.vstack([np.where(free, 0.0, 1.0), random.standard_normal((4, N))]), random.standard_normal(N)
    changes = moves @ matrix
    metric = np.diag(random.uniform(0.5, 2.0, N))
    found = inverse_hessian_product(moves, changes, vector, free, Fixed(metric).solve if with_metric else None)
    # The first pair does not move the free entries at all; the others are their own.
    smaller = Fixed(metric[np.ix_(free, free)]).solve if with_metric else None
    everything = np.ones(free.sum(), dtype=bool)
    expected = inverse_hessian_product(moves[1:, free], changes[1:, free], vector[free], everything, smaller)
    np.testing.assert_allclose(found[free], expected, rtol=1e-10)
    assert not found[~free].any()


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_with_a_pair_the_scale_of_a_metric_does_not_matter(factor):
    random, matrix = np.random.default_rng(1), hessian()
    moves, vector = random.standard_normal((2, N)), random.standard_normal(N)
    metric = np.diag(random.uniform(0.5, 2.0, N))
    found = scaled_inverse(Fixed(factor * metric), moves, moves @ matrix)(vector)
    scale = (moves[1] @ metric @ moves[1]) / (moves[1] @ matrix @ moves[1])
    np.testing.assert_allclose(found, scale * np.linalg.solve(metric, vector), rtol=1e-9)


def test_a_state_of_some_entries_keeps_what_the_pairs_tell_of_them():
    random, solver, entries = np.random.default_rng(5), Lbfgs(), np.array([0, 3, 4, 9])
    moves, changes = random.standard_normal((2, 3, N))
    state = replace(solver.start(random.standard_normal(N)), moves=tuple(moves), changes=tuple(changes), iteration=7)

    def spread(vector):
        return np.bincount(entries, vector, N)

    few = solver.mapped(state, lambda vector: vector[entries])
    np.testing.assert_array_equal(few.point, state.point[entries])
    np.testing.assert_array_equal(few.moves, moves[:, entries])
    np.testing.assert_array_equal(few.changes, changes[:, entries])
    again, is_kept = solver.mapped(few, spread), np.isin(np.arange(N), entries)
    np.testing.assert_array_equal(again.point, np.where(is_kept, state.point, 0.0))
    np.testing.assert_array_equal(again.moves, np.where(is_kept, moves, 0.0))
    assert few.iteration == again.iteration == -1


def test_other_solvers_keep_the_point_alone():
    state = Newton().mapped(Newton().start(np.array([0.0, 4.0, 5.0])), lambda vector: vector[1:])
    np.testing.assert_array_equal(state.point, [4.0, 5.0])
    assert not len(state.hessian)


def test_a_metric_that_leads_astray_gives_way_to_the_steepest_descent_and_then_the_fit_has_stalled():
    solver = Lbfgs(metric=Fixed(np.eye(N) * 1e-2))
    state = told(solver, solver.start(np.zeros(N)), hessian())
    for _ in range(12):
        if state.ending is None:
            points = solver.ask(state).points
            state = solver.tell(state, Reply(np.full(len(points), np.inf), np.zeros_like(points)))
    assert state.ending is not None and state.ending.status is Status.STALLED
    np.testing.assert_array_equal(state.direction, -state.gradient)
