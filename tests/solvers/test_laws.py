"""Laws of solvers: every entry of the registry on every problem that it accepts."""

from __future__ import annotations

import dataclasses
import pickle
from functools import cache

import numpy as np
import pytest

from sparkgd.exceptions import IncompatibleError
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.history import Outcome
from sparkgd.training.stopping import Stopping
from tests.support.bits import bits
from tests.support.plans import CountingRows, advanced, first_state, fit, training_set
from tests.support.problems import small_problems

PROBLEMS = small_problems()
TIGHT = Stopping(max_iterations=5000, tol=1e-9)


def full_batch(name: str) -> bool:
    return name not in ("sgd", "localSGD")


def accepted() -> list[tuple[str, str]]:
    pairs = [(solver, problem) for solver in SOLVERS for problem in PROBLEMS]
    return [(s, p) for s, p in pairs if SOLVERS[s].refusal(PROBLEMS[p].loss, PROBLEMS[p].penalty) is None]


every_accepted = pytest.mark.parametrize(("solver", "problem"), accepted())
every_full_batch = pytest.mark.parametrize(("solver", "problem"), [pair for pair in accepted() if full_batch(pair[0])])


@cache
def fitted(solver: str, problem: str) -> tuple[Outcome, int]:
    """The fit to high accuracy, and how many rounds were asked of its rows."""
    small = PROBLEMS[problem]
    rows = CountingRows(small.blocks())
    outcome = fit(small.settings(SolverSettings(solver), TIGHT), training_set(small.blocks(), rows=rows))
    return outcome, len(rows.descriptions)


@pytest.fixture(scope="module")
def minima() -> dict[str, float]:
    return {name: problem.minimum() for name, problem in PROBLEMS.items()}


@every_full_batch
def test_reaches_the_optimum_and_says_so(solver, problem, minima):
    outcome, _ = fitted(solver, problem)
    assert outcome.ending.status is Status.CONVERGED
    objective = PROBLEMS[problem].objective(outcome.coef)
    assert objective == pytest.approx(minima[problem], rel=1e-7)
    assert objective == pytest.approx(outcome.objectives[-1], rel=1e-12)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_auto_reaches_the_optimum_with_default_settings(problem, minima):
    outcome = PROBLEMS[problem].fit(SolverSettings(), Stopping(max_iterations=100, tol=1e-6))
    assert outcome.ending.status is Status.CONVERGED
    assert PROBLEMS[problem].objective(outcome.coef) == pytest.approx(minima[problem], rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_pair_that_is_refused_names_what_would_work(solver, problem):
    small = PROBLEMS[problem]
    if SOLVERS[solver].refusal(small.loss, small.penalty) is None:
        assert small.fit(SolverSettings(solver), Stopping(0, 0.0)).result.choice.name == solver
        return
    with pytest.raises(IncompatibleError, match=f"solver='{solver}' cannot be used.*Solvers that work: .*'nesterov'"):
        small.final(SolverSettings(solver), TIGHT)


@every_accepted
def test_same_bits_on_repeat_and_after_resuming_from_a_pickled_state(solver, problem):
    settings = SolverSettings(solver, batch_size=7 if solver == "sgd" else None)
    final = PROBLEMS[problem].final(settings, TIGHT)
    straight = advanced(final, first_state(final), 7)
    half = advanced(final, first_state(final), 4)
    resumed = advanced(pickle.loads(pickle.dumps(final)), pickle.loads(pickle.dumps(half)), 3)
    assert bits(straight) == bits(advanced(final, first_state(final), 7))
    assert bits(straight) == bits(resumed)


@every_accepted
def test_a_state_is_frozen_and_telling_leaves_it_alone(solver, problem):
    final = PROBLEMS[problem].final(SolverSettings(solver), TIGHT)
    state = advanced(final, first_state(final), 3)
    before = bits(state)
    advanced(final, state, 2)
    assert bits(state) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.iteration = 0
    assert all(is_plain(value) for value in vars(state).values())


def is_plain(value: object) -> bool:
    """Whether a checkpoint can hold it: numbers, arrays, tuples of arrays."""
    if isinstance(value, tuple):
        return all(isinstance(part, np.ndarray) for part in value)
    return value is None or isinstance(value, np.ndarray | float | int)


@every_full_batch
def test_every_round_is_counted(solver, problem):
    outcome, rounds = fitted(solver, problem)
    assert len(outcome.seconds) == rounds == sum(stage.rounds for stage in outcome.stages)
    assert len(outcome.objectives) == outcome.iterations + 1 <= outcome.stages[-1].rounds


@every_full_batch
def test_the_objective_of_an_accepted_point_is_finite_and_within_bounds(solver, problem):
    small, outcome = PROBLEMS[problem], fitted(solver, problem)[0]
    assert np.all(np.isfinite(outcome.objectives))
    assert np.isfinite(small.penalty.value(outcome.coef[:-1]))
    assert np.isfinite(small.intercept_penalty.value(outcome.coef[-1:]))
