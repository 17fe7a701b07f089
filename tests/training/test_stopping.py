"""Endings: each convergence test alone, limits, and early stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.solvers.base import State, Status
from sparkgd.training.stopping import OBJECTIVE_FACTOR, WINDOW, Stopping

STATE = State(np.zeros(2), 1.0, np.ones(2), iteration=5, residual=1.0, gap=np.nan, ending=None)
STOPPING = Stopping(max_iterations=100, tol=1e-4)
FALLING = [10.0, 5.0, 2.0, 1.0]


def status(stopping=STOPPING, state=STATE, objectives=FALLING, held_out=(), stochastic=False):
    ending = stopping.check(state, objectives, held_out, stochastic)
    return ending and ending.status


def test_goes_on_while_nothing_holds():
    assert status() is None


def test_gradient():
    limit = 1e-4 * np.sqrt(FALLING[-1])
    assert status(state=replace(STATE, residual=limit * 0.999)) is Status.CONVERGED
    assert status(state=replace(STATE, residual=limit * 1.001)) is None


def test_gradient_of_an_objective_near_zero():
    # Against the first objective, any gradient of a nearly separable problem would look small.
    objectives = [1.0, 1e-3, 1e-12]
    limit = 1e-4 * np.sqrt(1e-8)
    assert status(state=replace(STATE, residual=limit * 0.999), objectives=objectives) is Status.CONVERGED
    assert status(state=replace(STATE, residual=limit * 1.001), objectives=objectives) is None


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_gradient_test_does_not_depend_on_the_unit_of_the_label(factor):
    # Multiplying labels and predictions by c multiplies a squared loss by c^2 and its gradient, in coordinates where
    # the Hessian is the identity, by c.
    objectives = [f * factor**2 for f in FALLING]
    for residual in (1e-4 * 0.99, 1e-4 * 1.01):
        here = status(state=replace(STATE, residual=residual * factor), objectives=objectives)
        assert here is status(state=replace(STATE, residual=residual))


def test_a_known_gap_overrules_a_small_gradient():
    assert status(state=replace(STATE, residual=0.0, gap=1.1e-4)) is None
    assert status(state=replace(STATE, residual=0.0, gap=0.9e-4)) is Status.CONVERGED


def test_gap():
    assert status(state=replace(STATE, gap=0.9e-10)) is Status.CONVERGED
    assert status(state=replace(STATE, gap=1.1e-10)) is None


def falling(rate, left, count=60):
    """Objectives that fall to 1 by a constant rate an iteration, with ``left`` still to go."""
    return list(1.0 + left * rate ** -np.arange(count - 1.0, -1.0, -1.0))


@pytest.mark.parametrize("rate", [0.95, 0.99, 0.999])
def test_objective_with_little_left_to_fall(rate):
    # Ever slower falls end at the same distance from the minimum, however little an iteration brings.
    limit = OBJECTIVE_FACTOR * 1e-4
    assert status(objectives=falling(rate, 0.99 * limit)) is Status.CONVERGED
    assert status(objectives=falling(rate, 1.02 * limit)) is None


def test_a_fast_fall_is_believed_only_as_far_as_it_was_seen():
    limit = OBJECTIVE_FACTOR * 1e-4
    seen = 0.5**-WINDOW - 1.0
    assert status(objectives=falling(0.5, 0.99 * limit / seen, 30)) is Status.CONVERGED
    assert status(objectives=falling(0.5, 1.02 * limit / seen, 30)) is None


def test_objective_standing_still():
    assert status(objectives=[10.0, *[1.0] * 2 * WINDOW]) is Status.CONVERGED
    assert status(objectives=[1.0] * 2 * WINDOW) is None


def test_a_fall_that_gains_speed_goes_on():
    assert status(objectives=list(1.0 - 1e-9 * np.arange(30.0) ** 2)) is None


@pytest.mark.parametrize("factor", [1.01, 10.0])
def test_a_rising_objective_does_not_stand_still(factor):
    state = replace(STATE, residual=np.inf)
    assert status(state=state, objectives=[factor**k for k in range(2 * WINDOW)]) is None


def test_tol_zero_never_converges():
    stopping = replace(STOPPING, tol=0.0)
    assert status(stopping, replace(STATE, residual=0.0, gap=0.0), [1.0] * 50) is None


def test_stochastic_solvers_are_not_judged_by_a_batch():
    assert status(state=replace(STATE, residual=0.0, gap=0.0), stochastic=True) is None


def test_the_limit():
    assert status(state=replace(STATE, iteration=100)) is Status.MAX_ITERATIONS


def test_convergence_comes_before_limits():
    assert status(state=replace(STATE, iteration=100, residual=0.0)) is Status.CONVERGED


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [
        ([3.0, 2.0, 1.0], None),
        ([1.0, 2.0, 3.0], Status.STOPPED_EARLY),
        ([2.0, 1.0, 1.5], None),
        ([2.0, 1.0, 1.0, 1.0], Status.STOPPED_EARLY),
        ([np.nan, 1.0, np.nan, 2.0], None),
        ([np.nan] * 10, None),
        ([], None),
    ],
)
def test_patience(held_out, expected):
    assert status(replace(STOPPING, patience=2), held_out=held_out) is expected
    assert status(replace(STOPPING, patience=0), held_out=held_out) is None


def test_reasons_name_the_param_or_the_figures():
    reasons = {
        "maxIter=100": STOPPING.check(replace(STATE, iteration=100), FALLING, [], False),
        "gradient norm": STOPPING.check(replace(STATE, residual=0.0), FALLING, [], False),
        "3 iterations": replace(STOPPING, patience=3).check(STATE, FALLING, [0.0, 1.0, 1.0, 1.0], False),
    }
    for words, ending in reasons.items():
        assert words in ending.reason


def test_a_gap_that_is_not_finite_proves_nothing():
    for gap in (-np.inf, np.nan, np.inf):
        assert status(state=replace(STATE, gap=gap)) is None
