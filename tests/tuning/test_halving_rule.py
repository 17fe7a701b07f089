"""The rule of successive halving: who goes on, and when that is decided."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparkgd.tuning.halving import Halving, ranked
from sparkgd.tuning.results import RETIRED, Trial, chosen_map


@pytest.mark.parametrize(("factor", "maps", "kept"), [(3, 40, 14), (3, 4, 2), (2, 16, 8), (1.5, 3, 2), (1.1, 2, 1),
                                                       (3, 3, 1), (3, 1, 1), (1.001, 5, 4), (1e9, 5, 1)])  # fmt: skip
def test_of_so_many_maps_as_the_factor_says_one_goes_on(factor, maps, kept):
    assert Halving(factor).kept(maps) == kept


def test_by_default_the_last_leg_has_what_the_iterations_leave():
    assert Halving(3.0).rungs(27, 81) == [9, 27]  # 27 maps, 9, 3: these three go to the end
    assert Halving(3.0).rungs(40, 100) == [4, 12, 34]
    assert Halving(2.0).rungs(16, 64) == [8, 16, 32]
    assert Halving(2.5).rungs(7, 100) == [16, 40]


def test_the_first_rung_can_be_given():
    assert Halving(3.0, 2).rungs(40, 100) == [2, 6, 18]
    assert Halving(3.0, 20).rungs(40, 100) == [20, 60]
    assert Halving(3.0, 100).rungs(40, 100) == []


@pytest.mark.parametrize("maps", [0, 1, 2, 3])
def test_no_more_maps_than_the_factor_are_not_compared(maps):
    assert Halving(3.0).rungs(maps, 100) == []


def test_rungs_rise_and_lie_within_the_iterations():
    random = np.random.default_rng(1)
    for _ in range(300):
        factor, maps, limit = 1.0 + random.exponential(), int(random.integers(1, 300)), int(random.integers(0, 200))
        first = None if random.uniform() < 0.5 else int(random.integers(1, 50))
        rungs = Halving(factor, first).rungs(maps, limit)
        assert all(0 < rung < limit for rung in rungs)
        assert np.all(np.diff(rungs) > 0)


@pytest.mark.parametrize("maps", [1, 2, 7, 200])
@pytest.mark.parametrize("factor", [1.001, 1.5, 3.0, 50.0])
def test_every_comparison_leaves_fewer_until_they_are_as_few_as_the_factor(maps, factor):
    halving, left = Halving(factor), maps
    for _ in halving.rungs(maps, 10**9):
        assert 1 <= halving.kept(left) < left
        left = halving.kept(left)
    assert left <= max(factor, 1)


def test_ranks_are_those_of_the_metric_and_maps_without_one_are_last():
    averages = {0: 0.3, 1: math.nan, 2: 0.1, 3: 0.3, 4: math.nan, 5: 0.2}
    assert ranked(averages, is_larger_better=False) == [2, 5, 0, 3, 1, 4]
    assert ranked(averages, is_larger_better=True) == [0, 3, 5, 2, 1, 4]
    assert ranked({3: math.inf, 1: -math.inf}, is_larger_better=True) == [3, 1]
    assert ranked({}, is_larger_better=True) == []


def trials_of(metrics: dict[int, list[float]], retired: set[int]) -> list[Trial]:
    return [
        Trial(fold, number, value, RETIRED if number in retired else "converged", "")
        for number, values in metrics.items()
        for fold, value in enumerate(values)
    ]


def test_a_retired_map_never_wins_over_one_that_went_on():
    metrics = {0: [0.1, 0.1], 1: [0.3, 0.3], 2: [0.2, 0.4], 3: [math.nan, 0.1]}
    assert chosen_map(trials_of(metrics, {0}), 4, is_larger_better=False) == 1
    assert chosen_map(trials_of(metrics, {0, 1}), 4, is_larger_better=False) == 2
    assert chosen_map(trials_of(metrics, set()), 4, is_larger_better=False) == 0
    assert chosen_map(trials_of(metrics, {1}), 4, is_larger_better=True) == 2


def test_a_retired_map_is_better_than_none():
    assert chosen_map(trials_of({0: [0.3], 1: [0.2], 2: [math.nan]}, {0, 1}), 3, is_larger_better=False) == 1
    assert chosen_map(trials_of({0: [math.nan], 1: [math.nan]}, {1}), 2, is_larger_better=False) is None
