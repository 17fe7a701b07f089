"""Laws of penalties: what solvers rely on, for every member."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.penalties import Bounded, ElasticNet, GroupLasso, NoPenalty, OnWeights, Penalty, elastic_net, group_lasso

SIZE = 6
RANDOM = np.random.default_rng(3)
L1 = np.array([0.0, 0.5, 1.0, 0.3, 2.0, 0.1])
L2 = np.array([1.0, 0.0, 0.4, 2.0, 0.1, 0.0])
LOW = np.array([-np.inf, -0.5, 0.0, 0.2, -1.0, -np.inf])
HIGH = np.array([np.inf, 0.5, np.inf, 1.0, -0.1, 0.3])
GROUPS = np.array([0, 0, 1, -1, 1, 1])

PENALTIES: dict[str, Penalty] = {
    "none": NoPenalty(),
    "L2": ElasticNet(np.zeros(SIZE), L2),
    "L1": ElasticNet(L1, np.zeros(SIZE)),
    "elastic net": ElasticNet(L1, L2),
    "bounds": Bounded(LOW, HIGH),
    "bounds and elastic net": Bounded(LOW, HIGH, ElasticNet(L1, L2)),
    "group lasso": GroupLasso(GROUPS, np.array([0.7, 1.5]), np.ones(SIZE)),
    "group lasso, scaled": GroupLasso(GROUPS, np.array([0.7, 1.5]), np.array([2.0, 2.0, 0.5, 3.0, 0.5, 0.5])),
}
PIECEWISE = [name for name, penalty in PENALTIES.items() if penalty.is_piecewise and not penalty.is_smooth]
every_penalty = pytest.mark.parametrize("name", PENALTIES)
every_piecewise = pytest.mark.parametrize("name", PIECEWISE)


def points(count: int = 20, spread: float = 2.0) -> np.ndarray:
    return spread * RANDOM.standard_normal((count, SIZE))


def prox_objective(penalty: Penalty, candidate: np.ndarray, center: np.ndarray, step: float | np.ndarray) -> float:
    return penalty.rough_value(candidate) + float(np.sum((candidate - center) ** 2 / (2.0 * step)))


@every_penalty
@pytest.mark.parametrize("step", [0.01, 0.7, 5.0])
def test_prox_minimises_its_problem(name, step):
    penalty = PENALTIES[name]
    for center in points():
        best = penalty.prox(center, step)
        lowest = prox_objective(penalty, best, center, step)
        assert np.isfinite(lowest)
        for size in (1.0, 1e-2, 1e-4):
            for move in points(20, size):
                assert prox_objective(penalty, penalty.project(best + move), center, step) >= lowest - 1e-12


@every_piecewise
def test_prox_satisfies_the_subgradient_condition_also_with_a_step_for_each_weight(name):
    penalty = PENALTIES[name]
    step = np.linspace(0.1, 3.0, SIZE)
    for center in points():
        best = penalty.prox(center, step)
        left, right = penalty.slopes(best)
        pull = (center - best) / step
        assert np.all(pull >= left - 1e-12) and np.all(pull <= right + 1e-12)


@every_penalty
def test_prox_is_firmly_nonexpansive(name):
    penalty = PENALTIES[name]
    for one, other in zip(points(), points(), strict=True):
        change = penalty.prox(one, 0.8) - penalty.prox(other, 0.8)
        assert change @ change <= change @ (one - other) + 1e-12


@every_penalty
def test_prox_of_no_step_is_the_projection(name):
    penalty = PENALTIES[name]
    for center in points():
        projected = penalty.project(center)
        assert np.isfinite(penalty.rough_value(projected))
        np.testing.assert_allclose(penalty.prox(center, 1e-12), projected, atol=1e-10)


@every_penalty
def test_gradient_and_curvature_of_the_smooth_part_match_finite_differences(name):
    penalty = PENALTIES[name]
    step = 1e-5 * np.eye(SIZE)
    for weights in points(5):
        values = [penalty.smooth_value(weights + s) - penalty.smooth_value(weights - s) for s in step]
        slopes = [penalty.smooth_gradient(weights + s) - penalty.smooth_gradient(weights - s) for s in step]
        np.testing.assert_allclose(penalty.smooth_gradient(weights), np.array(values) / 2e-5, atol=1e-8)
        np.testing.assert_allclose(np.diag(penalty.smooth_curvature(SIZE)), np.array(slopes) / 2e-5, atol=1e-8)


@every_penalty
def test_a_smooth_penalty_has_no_rough_part(name):
    penalty = PENALTIES[name]
    rough = any(penalty.rough_value(weights) != 0.0 for weights in points())
    assert penalty.is_smooth == (not rough)


@every_penalty
def test_scaled_is_the_rough_part_in_other_coordinates(name):
    penalty = PENALTIES[name]
    factor = penalty.allowed_scale(np.array([0.5, 2.0, 1.0, 3.0, 0.1, 4.0]))
    scaled = penalty.scaled(factor)
    assert not np.any(scaled.smooth_gradient(np.ones(SIZE)))
    for weights in np.array([penalty.project(w) for w in points()]):
        u = scaled.project(weights / factor)
        assert scaled.rough_value(u) == pytest.approx(penalty.rough_value(weights), rel=1e-12, abs=1e-12)
        best = scaled.prox(u + 0.3, 0.5)
        lowest = prox_objective(scaled, best, u + 0.3, 0.5)
        for move in points(10, 1e-2):
            assert prox_objective(scaled, scaled.project(best + move), u + 0.3, 0.5) >= lowest - 1e-12


@every_penalty
def test_a_weight_scaled_by_zero_is_left_alone(name):
    penalty = PENALTIES[name]
    factor = penalty.allowed_scale(np.array([0.0, 2.0, 0.0, 3.0, 0.1, 0.0]))
    scaled = penalty.scaled(factor)
    fixed = factor == 0.0
    assert fixed.sum() == 3
    for u in points():
        np.testing.assert_array_equal(scaled.prox(u, 0.5)[fixed], u[fixed])


@every_piecewise
def test_slopes_are_one_sided_derivatives(name):
    penalty = PENALTIES[name]
    size = 1e-7
    kinks = [np.zeros(SIZE), np.where(np.isfinite(LOW), LOW, 0.0), np.where(np.isfinite(HIGH), HIGH, 0.0)]
    for start in [*kinks, *points(5)]:
        weights = penalty.project(start)
        left, right = penalty.slopes(weights)
        here = penalty.rough_value(weights)
        for j, unit in enumerate(np.eye(SIZE)):
            above = (penalty.rough_value(weights + size * unit) - here) / size
            below = (here - penalty.rough_value(weights - size * unit)) / size
            assert right[j] == pytest.approx(above, abs=1e-6)
            assert left[j] == pytest.approx(below, abs=1e-6)


@every_piecewise
def test_a_penalty_is_linear_on_its_piece(name):
    penalty = PENALTIES[name]
    for start, direction in zip([np.zeros(SIZE), *points(10)], points(11), strict=True):
        weights = penalty.project(start)
        low, high = penalty.piece(weights, direction)
        assert np.all(low <= weights) and np.all(weights <= high)
        end = np.clip(weights + direction, low, high)
        middle = penalty.rough_value(0.5 * (weights + end))
        assert middle == pytest.approx(0.5 * (penalty.rough_value(weights) + penalty.rough_value(end)), abs=1e-12)


@every_penalty
def test_on_weights_never_touches_intercepts(name):
    penalty = OnWeights(PENALTIES[name], SIZE)
    for weights in points():
        coef = np.concatenate([weights, [7.0, -9.0]])
        np.testing.assert_array_equal(penalty.prox(coef, 0.4)[SIZE:], coef[SIZE:])
        np.testing.assert_array_equal(penalty.project(coef)[SIZE:], coef[SIZE:])
        np.testing.assert_array_equal(penalty.smooth_gradient(coef)[SIZE:], 0.0)
        assert penalty.value(coef) == penalty.penalty.value(weights)
    np.testing.assert_array_equal(penalty.smooth_curvature(SIZE + 2)[SIZE:], 0.0)


def test_on_weights_keeps_the_bounds_of_weights_and_intercepts_apart():
    penalty = OnWeights(Bounded(LOW, HIGH), SIZE, Bounded(np.array([-1.0]), np.array([0.5])))
    moved = penalty.prox(np.full(SIZE + 1, 3.0), np.ones(SIZE + 1))
    np.testing.assert_array_equal(moved, [*np.clip(np.full(SIZE, 3.0), LOW, HIGH), 0.5])
    assert penalty.scaled(np.full(SIZE + 1, 2.0)).project(moved)[-1] == 0.25


def test_elastic_net_is_mllibs():
    weights, scale = points(1)[0], np.linspace(0.5, 2.0, SIZE)
    expected = 0.3 * (0.2 * np.sum(scale * np.abs(weights)) + 0.8 / 2.0 * np.sum((scale * weights) ** 2))
    assert elastic_net(0.3, 0.2, scale).value(weights) == pytest.approx(expected, rel=1e-14)


def test_group_lasso_spans_outputs_and_weighs_groups_by_their_size():
    penalty = group_lasso(0.5, np.array([0, 0, -1]), np.ones(3), num_outputs=2)
    assert penalty.value(np.array([1.0, 2.0, 50.0, 0.0, 2.0, 60.0])) == pytest.approx(0.5 * np.sqrt(4) * 3.0)


def test_impossible_penalties_are_refused():
    with pytest.raises(ValueError, match="exceeds"):
        Bounded(np.array([1.0]), np.array([0.0]))
    with pytest.raises(ValueError, match="not of groups"):
        Bounded(LOW, HIGH, PENALTIES["group lasso"])
    with pytest.raises(ValueError, match="allowed_scale"):
        PENALTIES["group lasso"].scaled(np.arange(1.0, SIZE + 1.0)).prox(np.ones(SIZE), 1.0)


@every_piecewise
@pytest.mark.parametrize("entries", [[], [4], [0, 2, 3, 5], list(range(SIZE))])
def test_a_restricted_penalty_is_its_part_of_the_whole(name, entries):
    penalty, chosen = PENALTIES[name], np.array(entries, dtype=np.intp)
    part = penalty.restricted(chosen)
    mixed = OnWeights(penalty, SIZE, Bounded(np.array([-np.inf]), np.array([0.1])))
    mixed_part = mixed.restricted(np.append(chosen, SIZE))
    for weights in points():
        inside = penalty.project(weights)
        np.testing.assert_array_equal(part.prox(weights[chosen], 0.7), penalty.prox(weights, 0.7)[chosen])
        np.testing.assert_array_equal(
            np.array(part.slopes(inside[chosen])), np.array(penalty.slopes(inside))[:, chosen]
        )
        each = [penalty.restricted(np.array([j])).rough_value(inside[[j]]) for j in range(SIZE)]
        assert part.rough_value(inside[chosen]) == pytest.approx(sum(each[j] for j in entries), rel=1e-14)
        whole = mixed.prox(np.append(weights, 3.0), 0.7)
        np.testing.assert_array_equal(
            mixed_part.prox(np.append(weights[chosen], 3.0), 0.7), whole[np.append(chosen, SIZE)]
        )


@every_penalty
def test_conjugate_is_above_every_point_and_finite_within_the_share(name):
    penalty = PENALTIES[name]
    for slope in [np.zeros(SIZE), *points()]:
        share = penalty.share_within(slope)
        conjugate = penalty.conjugate(share * slope)
        assert 0.0 <= share <= 1.0
        assert np.isfinite(conjugate)
        for weights in points(20, 5.0):
            assert conjugate >= share * slope @ weights - penalty.value(weights) - 1e-12


def test_conjugate_of_an_elastic_net_is_a_supremum():
    penalty = ElasticNet(L1 + 0.1, L2 + 0.1)
    for slope in points():
        best = penalty.prox(slope / penalty.l2, 1.0 / penalty.l2)
        assert penalty.conjugate(slope) == pytest.approx(slope @ best - penalty.value(best), abs=1e-12)


def test_the_share_of_a_slope_beyond_l1_is_the_largest():
    penalty = ElasticNet(L1 + 0.1, np.zeros(SIZE))
    slope = np.full(SIZE, 4.0)
    share = penalty.share_within(slope)
    assert share == pytest.approx(0.1 / 4.0)
    assert np.isinf(penalty.conjugate(1.001 * share * slope))


PULLING = [name for name, penalty in PENALTIES.items() if penalty.pulls_to_zero(SIZE).any()]


@pytest.mark.parametrize("name", PULLING)
def test_the_factor_for_zero_is_the_least_that_keeps_weights_there(name):
    """Zero is a fixed point of a proximal gradient step at and above it, and is not below."""
    penalty = PENALTIES[name]
    pulled = penalty.pulls_to_zero(SIZE)
    for slope in points():
        factor = penalty.zero_factor(slope)
        assert factor > 0.0
        for share, stays in ((1.0 + 1e-12, True), (2.0, True), (0.99, False)):
            # A penalty ``factor`` times as strong against a slope is the penalty itself against the slope over it.
            moved = penalty.prox(np.where(pulled, -slope / (factor * share), 0.0), 1.0)
            assert (not moved[pulled].any()) == stays


def test_intercepts_are_out_of_sight_of_what_pulls_weights_to_zero():
    both = OnWeights(PENALTIES["L1"], SIZE)
    assert both.pulls_to_zero(SIZE + 2).tolist() == [*PENALTIES["L1"].pulls_to_zero(SIZE), False, False]
    slope = points(1)[0]
    assert both.zero_factor(np.append(slope, [1e9, 1e9])) == PENALTIES["L1"].zero_factor(slope)


def test_penalties_without_a_kink_at_zero_pull_nothing_there():
    for name in ("none", "L2", "bounds"):
        assert not PENALTIES[name].pulls_to_zero(SIZE).any()
        assert PENALTIES[name].zero_factor(points(1)[0]) == 0.0
