"""Laws of solvers: every entry of the registry on every problem that it accepts."""

from __future__ import annotations

import dataclasses
import pickle
from functools import cache

import numpy as np
import pytest

from sparkgd.engine.driver import DriverEngine
from sparkgd.exceptions import IncompatibleError
from sparkgd.solvers.base import State, Status
from sparkgd.solvers.registry import SOLVERS, SolverSettings
from sparkgd.training.loop import Outcome, train
from sparkgd.training.plan import Prepared
from sparkgd.training.rounds import Question, run_round
from sparkgd.training.stopping import Stopping
from tests.support.bits import bits
from tests.support.problems import SmallProblem, small_problems

PROBLEMS = small_problems()
TIGHT = Stopping(max_iterations=5000, tol=1e-9)


def full_batch(name: str) -> bool:
    return name not in ("sgd", "localSGD")


def accepted() -> list[tuple[str, str]]:
    pairs = [(solver, problem) for solver in SOLVERS for problem in PROBLEMS]
    return [(s, p) for s, p in pairs if SOLVERS[s].refusal(PROBLEMS[p].loss, PROBLEMS[p].penalty) is None]


every_accepted = pytest.mark.parametrize(("solver", "problem"), accepted())
every_full_batch = pytest.mark.parametrize(("solver", "problem"), [pair for pair in accepted() if full_batch(pair[0])])


class CountingEngine(DriverEngine):
    """Counts the rounds that it runs."""

    rounds = 0

    def round(self, kernels, description=""):
        self.rounds += 1
        return super().round(kernels, description)


def advance(problem: SmallProblem, prepared: Prepared, state: State, rounds: int) -> State:
    """The state after some rounds, by hand."""
    task, engine = prepared.task, DriverEngine(problem.blocks())
    for _ in range(rounds):
        if state.ending is None:
            question = Question(task.objective, task.solver.ask(state), task.weight_sum)
            state = task.solver.tell(state, run_round(engine, [question])[0].reply)
    return state


def first_state(prepared: Prepared) -> State:
    task = prepared.task
    return task.solver.start(task.objective.point(task.start))


@cache
def fitted(solver: str, problem: str) -> tuple[Outcome, int]:
    """The fit to high accuracy, and how many rounds its engine ran."""
    small = PROBLEMS[problem]
    engine = CountingEngine(small.blocks())
    return train(engine, [small.prepared(SolverSettings(solver), TIGHT).task])[0], engine.rounds


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
        assert small.prepared(SolverSettings(solver), TIGHT).choice.name == solver
        return
    with pytest.raises(IncompatibleError, match=f"solver='{solver}' cannot be used.*Solvers that work: .*'nesterov'"):
        small.prepared(SolverSettings(solver), TIGHT)


@every_accepted
def test_same_bits_on_repeat_and_after_resuming_from_a_pickled_state(solver, problem):
    small = PROBLEMS[problem]
    prepared = small.prepared(SolverSettings(solver, batch_size=7 if solver == "sgd" else None), TIGHT)
    straight = advance(small, prepared, first_state(prepared), 7)
    half = advance(small, prepared, first_state(prepared), 4)
    resumed = advance(small, pickle.loads(pickle.dumps(prepared)), pickle.loads(pickle.dumps(half)), 3)
    assert bits(straight) == bits(advance(small, prepared, first_state(prepared), 7))
    assert bits(straight) == bits(resumed)


@every_accepted
def test_a_state_is_frozen_and_telling_leaves_it_alone(solver, problem):
    small = PROBLEMS[problem]
    prepared = small.prepared(SolverSettings(solver), TIGHT)
    state = advance(small, prepared, first_state(prepared), 3)
    before = bits(state)
    advance(small, prepared, state, 2)
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
    assert len(outcome.seconds) == rounds
    assert len(outcome.objectives) == outcome.iterations + 1 <= rounds


@every_full_batch
def test_the_objective_of_an_accepted_point_is_finite_and_within_bounds(solver, problem):
    small, outcome = PROBLEMS[problem], fitted(solver, problem)[0]
    assert np.all(np.isfinite(outcome.objectives))
    assert np.isfinite(small.penalty.value(outcome.coef[:-1]))
    assert np.isfinite(small.intercept_penalty.value(outcome.coef[-1:]))
