"""Laws of the changes of variables."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss, SquaredLoss
from sparkgd.penalties import ElasticNet, NoPenalty
from sparkgd.problems.coordinates import Among, Diagonal, Rotated
from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion
from tests.support.local import block_of

P = 4


def maps(layout: CoefLayout) -> list[Diagonal | Rotated]:
    rng = np.random.default_rng(3)
    center = rng.normal(size=P) if layout.fit_intercept else np.zeros(P)
    diagonal = Diagonal(layout, center, rng.uniform(0.1, 9.0, P), 2.0)
    return [diagonal, Rotated(diagonal, np.triu(rng.normal(size=(P, P))) + 3.0 * np.eye(P))]


CASES = [
    pytest.param(layout, kind, id=f"{kind}-{layout.num_outputs}-{'intercept' if layout.fit_intercept else 'none'}")
    for layout in (CoefLayout(P), CoefLayout(P, fit_intercept=False), CoefLayout(P, 3), CoefLayout(P, 3, False))
    for kind in ("diagonal", "rotated")
]
every = pytest.mark.parametrize(("layout", "kind"), CASES)


def the_map(layout: CoefLayout, kind: str) -> Diagonal | Rotated:
    return maps(layout)[kind == "rotated"]


@every
@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
def test_to_raw_and_from_raw_are_inverse(layout, kind, leading):
    coordinates, rng = the_map(layout, kind), np.random.default_rng(0)
    some = rng.normal(size=(*leading, layout.size))
    np.testing.assert_allclose(coordinates.from_raw(coordinates.to_raw(some)), some, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(coordinates.to_raw(coordinates.from_raw(some)), some, rtol=1e-12, atol=1e-12)


@every
def test_pull_is_the_transpose_of_to_raw(layout, kind):
    coordinates, rng = the_map(layout, kind), np.random.default_rng(1)
    for _ in range(5):
        point, gradient = rng.normal(size=layout.size), rng.normal(size=layout.size)
        assert coordinates.pull(gradient) @ point == pytest.approx(gradient @ coordinates.to_raw(point), rel=1e-12)


@pytest.mark.parametrize("layout", [CoefLayout(P), CoefLayout(P, fit_intercept=False), CoefLayout(P, 3)])
def test_unpull_is_the_inverse_of_pull(layout):
    coordinates, some = maps(layout)[0], np.random.default_rng(4).normal(size=(5, layout.size))
    np.testing.assert_allclose(coordinates.unpull(coordinates.pull(some)), some, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(coordinates.pull(coordinates.unpull(some)), some, rtol=1e-12, atol=1e-12)


@every
def test_leading_axes_are_independent(layout, kind):
    coordinates, points = the_map(layout, kind), np.random.default_rng(2).normal(size=(4, layout.size))
    for change in (coordinates.to_raw, coordinates.from_raw, coordinates.pull):
        np.testing.assert_allclose(change(points), [change(point) for point in points], rtol=1e-13)


@every
def test_the_map_is_evaluating_the_changed_columns(layout, kind):
    coordinates, rng = the_map(layout, kind), np.random.default_rng(4)
    diagonal = coordinates.scaled if isinstance(coordinates, Rotated) else coordinates
    x, point = rng.normal(size=(7, P)), rng.normal(size=layout.size)
    columns = (x - diagonal.center) * diagonal.scale
    if isinstance(coordinates, Rotated):
        columns = columns @ np.linalg.inv(maps(layout)[1].triangle)
    changed = columns @ layout.weights(point).T + layout.intercepts(point) * diagonal.intercept_scale
    coef = coordinates.to_raw(point)
    plain = x @ layout.weights(coef).T + layout.intercepts(coef)
    np.testing.assert_allclose(changed, plain, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", [CoefLayout(P), CoefLayout(P, fit_intercept=False), CoefLayout(P, 3)])
def test_points_of_few_columns_are_whole_ones_with_zeros(layout):
    whole, columns, rng = maps(layout)[0], np.array([1, 3]), np.random.default_rng(6)
    few, known = Among(whole, columns), layout.restricted(columns)[1]
    points, gradients = rng.normal(size=(5, len(known.numbers))), rng.normal(size=(5, layout.size))
    np.testing.assert_array_equal(few.to_raw(points), whole.to_raw(known.spread(points)))
    np.testing.assert_allclose(few.from_raw(few.to_raw(points)), points, rtol=1e-12)
    np.testing.assert_allclose(
        np.einsum("mn,mn->m", few.pull(gradients), points), np.einsum("mn,mn->m", gradients, few.to_raw(points))
    )
    np.testing.assert_array_equal(few.columns, columns)
    np.testing.assert_array_equal(few.factor, known.of(whole.factor))
    np.testing.assert_array_equal(few.fixed, np.tile([True, False, True, False], layout.num_linear))
    held = few.holding(np.array([False, True, False, False]))
    assert not layout.weights(held.to_raw(points))[..., 1].any()
    with pytest.raises(IncompatibleError, match="leave out columns"):
        few.restricted(np.array([0]))


def test_the_penalty_of_few_columns_is_theirs():
    layout, columns, rng = CoefLayout(P, 2), np.array([0, 2]), np.random.default_rng(6)
    penalty = ElasticNet(rng.uniform(0.1, 1.0, 2 * P), rng.uniform(0.1, 1.0, 2 * P))
    problem = Problem(LogisticLoss(), layout, penalty, maps(layout)[0])
    few, known = problem.among(columns), layout.restricted(columns)[1]
    point = rng.normal(size=len(known.numbers))
    assert few.total(1.0, point) == pytest.approx(problem.total(1.0, known.spread(point)), rel=1e-12)
    np.testing.assert_array_equal(few.raw_coef(point), problem.raw_coef(known.spread(point)))


def test_a_scale_of_zero_fixes_the_weight_at_zero():
    layout = CoefLayout(3)
    coordinates = Diagonal(layout, np.array([1.0, 5.0, 2.0]), np.array([1.0, 0.0, 2.0]))
    raw = coordinates.to_raw(np.array([1.0, 7.0, 1.0, 0.5]))
    assert raw[1] == 0.0
    assert coordinates.pull(np.ones(4))[1] == 0.0
    np.testing.assert_array_equal(coordinates.from_raw(np.array([1.0, 9.0, 2.0, 0.0]))[1], 0.0)
    np.testing.assert_allclose(coordinates.to_raw(coordinates.from_raw(raw)), raw)


@pytest.mark.parametrize("loss", [LogisticLoss(), SquaredLoss()], ids=["logistic", "squared"])
@pytest.mark.parametrize(("distance", "tolerance"), [(1.0, 1e-13), (1e3, 1e-11), (1e6, 1e-8)])
def test_gradients_are_accurate_far_from_zero(loss, distance, tolerance):
    rng = np.random.default_rng(0)
    standard = rng.normal(size=(500, P))
    sigma = np.array([1.0, 10.0, 0.1, 3.0])
    x = (standard + distance) * sigma
    y = (standard[:, 0] > 0).astype(float)
    layout = CoefLayout(P)
    coordinates = Diagonal(layout, x.mean(axis=0), 1.0 / x.std(axis=0))
    point = rng.normal(size=(1, P + 1)) * 0.3
    problem, question = Problem(loss, layout, NoPenalty(), coordinates), GradientQuestion(point)
    found = question.reply(problem, question.kernel(problem)(block_of(x, y))).gradients[0]
    exact = (standard - standard.mean(axis=0)) / standard.std(axis=0)
    _, derivative = loss.value_and_derivative(y, exact @ point[0, :P] + point[0, P])
    expected = np.append(derivative @ exact, derivative.sum()) / 500
    assert np.linalg.norm(found - expected) < tolerance * np.linalg.norm(expected)
