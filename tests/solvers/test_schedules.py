"""Step-size schedules."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sparkgd.solvers.schedules import SCHEDULES

each = pytest.mark.parametrize("name", SCHEDULES)


@each
def test_the_first_step_is_the_one_asked_for(name):
    assert SCHEDULES[name](0.3).step_size(1) == pytest.approx(0.3)


@each
def test_steps_are_positive_and_never_grow(name):
    steps = [SCHEDULES[name](0.3).step_size(t) for t in range(1, 1001)]
    assert all(later <= earlier for earlier, later in pairwise(steps))
    assert min(steps) > 0.0


@each
def test_steps_scale_with_the_initial_one(name):
    assert SCHEDULES[name](2.0).step_size(37) == pytest.approx(20 * SCHEDULES[name](0.1).step_size(37))


def test_values():
    assert SCHEDULES["constant"](2.0).step_size(100) == 2.0
    assert SCHEDULES["inverseSqrt"](2.0).step_size(100) == pytest.approx(0.2)
    assert SCHEDULES["inverseScaling"](2.0).step_size(16) == pytest.approx(1.0)
