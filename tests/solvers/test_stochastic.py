"""Update rules, schedules with memory, averaging, and the local solvers without Spark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.exceptions import IncompatibleError
from sparkgd.losses import HingeLoss, LogisticLoss, MultinomialLoss
from sparkgd.questions import GradientQuestion, Reply
from sparkgd.questions.epochs import EpochKernel
from sparkgd.solvers.base import Status
from sparkgd.solvers.schedules import Constant, Cosine, Exponential, OnPlateau
from sparkgd.solvers.settings import SolverSettings
from sparkgd.solvers.sgd import BernoulliBatches, StochasticGradientDescent
from sparkgd.solvers.updates import UPDATES, AdaGrad, Adam, Momentum, NesterovMomentum, Update
from sparkgd.training.stopping import Stopping
from tests.support.blocks import as_csr, random_block, split
from tests.support.local import LocalFit, block_of
from tests.support.plans import first_state

STEP, BETA = 0.05, 0.8
START = np.array([1.0, -2.0, 0.5])
CURVATURE = np.array([1.0, 3.0, 0.2])


def gradient_at(point, step):
    """Of a quadratic, with noise that is the same for the same step."""
    return CURVATURE * point + 0.1 * np.random.default_rng(step).normal(size=3)


def iterates(update: Update, count: int = 30, **changes):
    """Points of the solver, gradients by hand."""
    solver = replace(StochasticGradientDescent(BernoulliBatches(0, 1.0), Constant(STEP), update), **changes)
    state, points = solver.start(START), []
    for step in range(1, count + 1):
        assert isinstance(solver.ask(state), GradientQuestion)
        value = 0.5 * float(state.point @ (CURVATURE * state.point))
        state = solver.tell(state, Reply(np.array([value]), gradient_at(state.point, step)[None, :]))
        points.append(state.point)
    return solver, state, np.array(points)


def by_hand(rule, count: int = 30):
    point, memory, points = START.copy(), [np.zeros(3), np.zeros(3)], []
    for step in range(1, count + 1):
        point = rule(point, gradient_at(point, step), memory, step)
        points.append(point)
    return np.array(points)


def heavy_ball(u, g, memory, t):
    memory[0] = BETA * memory[0] - STEP * g
    return u + memory[0]


def nesterov(u, g, memory, t):
    memory[0] = BETA * memory[0] - STEP * g
    return u + BETA * memory[0] - STEP * g


def adagrad(u, g, memory, t):
    memory[0] = memory[0] + g * g
    return u - STEP * g / (np.sqrt(memory[0]) + 1e-8)


def adam(u, g, memory, t):
    memory[0] = BETA * memory[0] + (1 - BETA) * g
    memory[1] = 0.999 * memory[1] + 0.001 * g * g
    return u - STEP * (memory[0] / (1 - BETA**t)) / (np.sqrt(memory[1] / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize(
    ("update", "rule"),
    [(Momentum(BETA), heavy_ball), (NesterovMomentum(BETA), nesterov), (AdaGrad(), adagrad), (Adam(BETA), adam)],
    ids=lambda part: type(part).__name__ if isinstance(part, Update) else "",
)
def test_an_update_rule_gives_the_iterates_of_a_plain_loop(update, rule):
    np.testing.assert_allclose(iterates(update)[2], by_hand(rule), rtol=1e-12, atol=1e-14)


def test_without_momentum_a_step_is_plain_sgd():
    plain = by_hand(lambda u, g, memory, t: u - STEP * g)
    np.testing.assert_allclose(iterates(UPDATES["momentum"](0.0))[2], plain, rtol=1e-13)


def test_averaging_returns_the_mean_of_all_points():
    solver, state, points = iterates(Momentum(), averaging=True)
    np.testing.assert_allclose(solver.result(state), points.mean(axis=0), rtol=1e-12)
    solver, state, points = iterates(Momentum())
    np.testing.assert_array_equal(solver.result(state), points[-1])


def test_schedules_over_a_horizon_end_small():
    assert Cosine(2.0).over(40).step_size(21) == pytest.approx(1.0)
    assert 0.0 < Cosine(2.0).over(40).step_size(40) < 0.01
    assert Exponential(2.0).over(40).step_size(41) == pytest.approx(0.02)


def test_the_adaptive_schedule_shrinks_on_a_plateau_only():
    schedule = OnPlateau(1.0, factor=0.5, window=3)
    memory = schedule.start()
    for value in (9.0, 9.0, 9.0, 8.0, 8.0, 8.0):
        memory = schedule.heard(memory, value)
    assert schedule.step_size(7, memory) == 1.0
    for value in (8.5, 7.5, 8.0):
        memory = schedule.heard(memory, value)
    assert schedule.step_size(10, memory) == 0.5


LOGISTIC = random_block(LogisticLoss(), rows=400, columns=6, seed=3)
CONVERGED = Stopping(200, 1e-9)
FIT = LocalFit(LogisticLoss(), SolverSettings("l-bfgs"), reg=0.01, stopping=CONVERGED)
BEST = FIT.run(LOGISTIC).objectives[-1]


@pytest.mark.parametrize("updater", UPDATES)
@pytest.mark.parametrize("schedule", ["inverseSqrt", "cosine", "exponential", "adaptive"])
def test_every_update_rule_and_schedule_gets_near_the_optimum(updater, schedule):
    solver = SolverSettings("sgd", updater=updater, schedule=schedule, batch_size=60)
    outcome = FIT.but(solver=solver, stopping=Stopping(300, 0.0)).run(LOGISTIC)
    assert outcome.objectives[-1] < 1.02 * BEST


@pytest.mark.parametrize("stops", [(), (150, 300)])
def test_local_sgd_is_near_the_optimum_after_three_passes(stops):
    many = random_block(LogisticLoss(), rows=6000, columns=6, seed=3)
    best = FIT.run(many).objectives[-1]
    outcome = FIT.but(solver=SolverSettings("localSGD"), stopping=Stopping(3, 0.0)).run(many, [10 * s for s in stops])
    assert outcome.objectives[-1] < 1.01 * best
    assert len(outcome.seconds) == 4, "three epochs and one evaluation"


def test_local_svrg_reaches_the_optimum_when_partitions_differ():
    order = np.argsort(LOGISTIC.label, kind="stable")
    outcome = FIT.but(solver=SolverSettings("localSVRG")).run(LOGISTIC.take(order), (100, 200, 300))
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] == pytest.approx(BEST, rel=1e-9)
    assert np.all(np.diff(outcome.objectives) <= 1e-12), "the objective never rises"


LOCAL = pytest.mark.parametrize("solver", ["localSGD", "localSVRG"])


@LOCAL
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"schedule": "cosine"}, "schedule='cosine' cannot be used with solver='local.*stepSize"),
        ({"momentum": 0.9}, "momentum=0.9.*plain SGD.*solver='sgd'"),
        ({"updater": "adam"}, "updater='adam'.*solver='sgd'"),
        ({"averaging": True}, "averaging=True.*leave it out"),
        ({"batch_size": 32}, "batchSize=32.*row by row; localEpochs.*solver='sgd'"),
        ({"fraction": 0.5}, "miniBatchFraction=0.5.*localEpochs"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_local_solvers_refuse_settings_that_they_have_no_use_for(solver, setting, message):
    with pytest.raises(IncompatibleError, match=message):
        FIT.but(solver=SolverSettings(solver, **setting)).final([LOGISTIC])


@LOCAL
def test_the_units_of_columns_change_nothing(solver):
    fit = FIT.but(solver=SolverSettings(solver), reg=0.0, stopping=Stopping(4, 0.0))
    units = np.logspace(-4.0, 4.0, 6)
    features, label = LOGISTIC.features.dense() * (np.random.default_rng(0).random((400, 6)) < 0.3), LOGISTIC.label
    coef = fit.run(block_of(features, label), (150,)).coef
    np.testing.assert_allclose(fit.run(block_of(features * units, label), (150,)).coef[:6] * units, coef[:6], rtol=1e-6)


def test_rare_columns_are_scaled_less_than_their_curvature_says():
    rng = np.random.default_rng(0)
    features = (rng.random((2000, 4)) < [1.0, 0.5, 0.1, 0.01]) * (1.0 + rng.random((2000, 4)))
    block = block_of(features, (features[:, 1] > 1.0).astype(float))
    by_row = FIT.but(solver=SolverSettings("localSGD")).final([block]).problem.coordinates
    by_curvature = FIT.but(solver=SolverSettings("owlqn")).final([block]).problem.coordinates
    ratios = by_row.scale / by_curvature.scale
    assert ratios[0] == pytest.approx(1.0)
    assert np.all(np.diff(ratios) < -0.01)
    assert by_row.intercept_scale >= by_curvature.intercept_scale


@LOCAL
def test_dense_and_sparse_rows_train_alike(solver, monkeypatch):
    monkeypatch.setattr(EpochKernel, "_stride", lambda self, block: 4)
    fit = FIT.but(solver=SolverSettings(solver), stopping=Stopping(4, 0.0))
    np.testing.assert_allclose(
        fit.run(LOGISTIC, (150,)).coef, fit.run(as_csr(LOGISTIC), (150,)).coef, rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("loss", [MultinomialLoss(3), HingeLoss()], ids=["multinomial", "hinge"])
def test_local_sgd_takes_many_outputs_and_subgradients(loss):
    block = random_block(loss, rows=3000)
    smooth = FIT.but(loss=loss, stopping=Stopping(200, 1e-6))
    outcome = smooth.but(solver=SolverSettings("localSGD"), stopping=Stopping(8, 0.0)).run(block, (1000,))
    assert outcome.objectives[-1] < 1.01 * smooth.run(block).objectives[-1]


def test_partitions_are_averaged_by_what_they_know():
    final = FIT.but(solver=SolverSettings("localSGD")).final(split(LOGISTIC, (150,)))
    problem, question = final.problem, final.solver.ask(first_state(final)).questions[1]
    kernel = question.kernel(problem)
    sums = [kernel(block) for block in split(LOGISTIC, (150,))]
    together = question.reply(problem, sums[0] + sums[1]).local_point
    alone = [question.reply(problem, part).local_point for part in sums]
    shares = [part.information / (sums[0] + sums[1]).information for part in sums]
    # A column's share is its own; the intercept's is the weight sum's.
    expected = shares[0] * alone[0] + shares[1] * alone[1]
    free = problem.coordinates.factor > 0.0
    np.testing.assert_allclose(together[free], expected[free], rtol=1e-10)
    assert shares[0][-1] == pytest.approx(LOGISTIC.weight[:150].sum() / LOGISTIC.weight.sum())


def test_an_epoch_that_raises_the_objective_is_forgotten():
    features = np.random.default_rng(0).normal(size=(200, 3))
    label = (features[:, 0] > 0.0).astype(float)
    wild = SolverSettings("localSGD", step_size=1e4)
    outcome = FIT.but(solver=wild, stopping=Stopping(20, 0.0)).run(block_of(features, label))
    assert outcome.objectives[-1] <= min(outcome.objectives)
    assert outcome.objectives[-1] < outcome.objectives[0]


@pytest.mark.parametrize(
    "settings",
    [
        SolverSettings("sgd", batch_size=7),
        SolverSettings("sgd", fraction=0.2),
        SolverSettings("localSGD"),
        SolverSettings("localSVRG"),
    ],
    ids=lambda settings: f"{settings.name}-{settings.batch_size}",
)
def test_every_seed_that_spark_can_hold_is_one_of_its_own(settings):
    block = random_block(LogisticLoss())
    seeds = (0, 1, -1, -(2**63), 2**63 - 1, -3184823490573422417)
    fits = [LocalFit(LogisticLoss(), replace(settings, seed=seed), 0.1, stopping=Stopping(3, 0.0)) for seed in seeds]
    assert len({tuple(fit.run(block).coef) for fit in fits}) == len(seeds)
    assert [fit.solver.unsigned_seed for fit in fits[:2]] == [0, 1]
