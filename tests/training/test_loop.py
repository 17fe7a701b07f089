"""The one loop: records, callbacks, limits, several models at once, early stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.data.statistics import Group, statistics_of
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.losses import LogisticLoss, SquaredLoss
from sparkgd.solvers.base import Status
from sparkgd.solvers.quadratic import solve_positive
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.fit import plan_of
from sparkgd.training.loop import train
from sparkgd.training.stopping import Stopping
from tests.support.local import LocalFit, block_of
from tests.support.plans import CountingRows, training_set

RNG = np.random.default_rng(8)
X = RNG.normal(size=(300, 5)) * np.array([1.0, 4.0, 0.3, 1.0, 1.0])
Y = (X[:, 0] - 0.5 * X[:, 1] + RNG.logistic(size=300) > 0).astype(float)
BLOCK = block_of(X, Y)
FOLDS = replace(BLOCK, fold=(np.arange(300) % 3).astype(np.uint8))
FIT = LocalFit(LogisticLoss(), SolverSettings("l-bfgs"), reg=0.01)

STOCHASTIC = ("sgd", "localSGD")
each_solver = pytest.mark.parametrize("solver", SOLVERS)


def settings(name: str, **changes) -> SolverSettings:
    return SolverSettings(name, batch_size=30 if name == "sgd" else None, **changes)


@each_solver
def test_records_tell_the_story_of_the_fit(solver):
    records = []
    outcome = FIT.but(solver=settings(solver), stopping=Stopping(5, 0.0)).run(BLOCK, callbacks=[records.append])
    assert [r.round for r in records] == list(range(1, len(records) + 1))
    assert records[-1].iteration == outcome.iterations == 5
    assert len(outcome.objectives) == len(outcome.gradient_norms) == 6
    assert [r.seconds for r in records] == outcome.seconds
    assert records[-1].objective == outcome.objectives[-1] == outcome.objective
    assert all(r.seconds >= 0.0 and r.max_iterations == 5 and r.model == 0 for r in records)
    assert np.isnan([r.held_out_loss for r in records]).all()
    assert outcome.ending.status is Status.MAX_ITERATIONS


@each_solver
def test_a_callback_stops_the_fit_with_the_point_reached(solver):
    fit = FIT.but(solver=settings(solver), stopping=Stopping(50, 0.0))
    stopped = fit.run(BLOCK, callbacks=[lambda record: record.iteration >= 3])
    limited = fit.but(stopping=Stopping(3, 0.0)).run(BLOCK)
    assert stopped.ending.status is Status.STOPPED_EARLY
    assert "callback" in stopped.ending.reason
    np.testing.assert_array_equal(stopped.coef, limited.coef)


def interrupt(at_round: int):
    """A callback that stands for Ctrl-C after a round."""

    def callback(record) -> None:
        if record.round == at_round:
            raise KeyboardInterrupt

    return callback


def test_an_interrupt_keeps_the_best_point_only_when_asked_to():
    fit = FIT.but(stopping=Stopping(50, 0.0))
    with pytest.raises(KeyboardInterrupt):
        fit.run(BLOCK, callbacks=[interrupt(4)])
    data = training_set([BLOCK])
    outcome = train(data.rows, [plan_of(fit.settings, data)], [interrupt(4)], keep_on_interrupt=True)[0]
    assert outcome.ending.status is Status.STOPPED_EARLY
    assert outcome.ending.reason == "interrupted"
    assert outcome.iterations == len(outcome.objectives) - 1 > 0
    stopped = fit.run(BLOCK, callbacks=[lambda record: record.round >= 4])
    np.testing.assert_array_equal(outcome.coef, stopped.coef)


def test_a_callback_that_fails_ends_the_fit():
    def fails(record):
        raise RuntimeError("in the callback")

    with pytest.raises(RuntimeError, match="in the callback"):
        FIT.run(BLOCK, callbacks=[fails])


@pytest.mark.parametrize("name", ["gd", "sgd"])
def test_steps_that_are_too_long_are_told_as_divergence_before_numbers_overflow(name):
    """A model with an objective of 1e100 would be a wrong result, whatever its limit of iterations."""
    fit = FIT.but(loss=SquaredLoss(), solver=settings(name, step_size=3.0), stopping=Stopping(60, 1e-6))
    outcome = fit.run(BLOCK)
    assert outcome.ending.status is Status.DIVERGED
    assert "use a smaller step size" in outcome.ending.reason
    assert np.isfinite(outcome.objectives).all()
    assert outcome.iterations < 60


@each_solver
def test_max_iter_zero_returns_the_start(solver):
    start = (np.full((1, 5), 0.25), np.array([0.5]))
    outcome = FIT.but(solver=settings(solver), stopping=Stopping(0, 1e-6), start=start).run(BLOCK)
    np.testing.assert_allclose(outcome.coef, [0.25] * 5 + [0.5], rtol=1e-12)
    assert outcome.iterations == 0
    assert len(outcome.objectives) == 1
    value, _ = LogisticLoss().value_and_derivative(Y, X @ np.full(5, 0.25) + 0.5)
    assert outcome.objectives[0] == pytest.approx(value.mean() + 0.005 * 5 * 0.25**2, rel=1e-12)


@each_solver
def test_objectives_are_those_of_the_points(solver):
    outcome = FIT.but(solver=settings(solver), stopping=Stopping(8, 0.0)).run(BLOCK)
    value, _ = LogisticLoss().value_and_derivative(Y, X @ outcome.coef[:5] + outcome.coef[5])
    expected = value.mean() + 0.005 * outcome.coef[:5] @ outcome.coef[:5]
    assert outcome.objectives[-1] == pytest.approx(expected, rel=1e-12)


@each_solver
def test_the_time_budget_ends_the_fit(solver):
    data = training_set([BLOCK])
    endless = FIT.but(solver=settings(solver), stopping=Stopping(10**6, 0.0)).settings
    plan = plan_of(replace(endless, max_seconds=1e-9), data)
    outcome = train(data.rows, [plan])[0]
    assert outcome.ending.status is Status.MAX_SECONDS
    assert outcome.ending.reason == "maxSeconds=1e-09 passed before convergence"
    assert outcome.iterations <= 1


def test_many_models_share_rounds_and_end_as_each_alone():
    fits = [FIT.but(solver=settings(name), reg=reg) for name in SOLVERS for reg in (0.001, 0.05)]
    fits += [FIT, FIT, FIT.but(held_out=1), FIT.but(held_out=2, solver=settings("newton"))]
    rows = CountingRows([FOLDS])
    together = train(rows, [plan_of(fit.settings, training_set([FOLDS], fit.held_out, rows=rows)) for fit in fits])
    alone = [fit.run(FOLDS) for fit in fits]
    for mine, other in zip(together, alone, strict=True):
        assert mine.ending.status is other.ending.status
        assert mine.iterations == other.iterations
        np.testing.assert_allclose(mine.coef, other.coef, rtol=1e-6, atol=1e-9)
        assert mine.objectives[-1] == pytest.approx(other.objectives[-1], rel=1e-9)
    assert len(rows.descriptions) == max(len(outcome.seconds) for outcome in together)
    assert len(rows.descriptions) <= max(len(outcome.seconds) for outcome in alone) + 1
    assert "more models" in rows.descriptions[0]


@pytest.mark.parametrize("solver", [name for name in SOLVERS if not name.startswith(("sgd", "local"))])
def test_the_order_of_the_rows_decides_nothing(solver):
    fit = FIT.but(solver=settings(solver))
    expected = fit.run(BLOCK)
    for seed in range(6):
        outcome = fit.run(BLOCK.take(np.random.default_rng(seed).permutation(300)))
        assert (outcome.iterations, len(outcome.seconds)) == (expected.iterations, len(expected.seconds))
        np.testing.assert_allclose(outcome.objectives, expected.objectives, rtol=1e-12)
        np.testing.assert_allclose(outcome.coef, expected.coef, rtol=1e-9)


def test_a_held_out_fold_is_a_fold_that_is_not_there():
    held_out = FIT.but(held_out=2).run(FOLDS)
    without = FIT.run(replace(FOLDS.take(np.flatnonzero(FOLDS.fold != 2)), fold=None))
    last = held_out.result.problem.raw_coef(held_out.last.solver.point)
    np.testing.assert_allclose(last, without.coef, rtol=1e-9)
    np.testing.assert_allclose(held_out.objectives, without.objectives, rtol=1e-9)
    assert held_out.held_out_losses[-1] == pytest.approx(mean_loss(last, FOLDS.fold == 2), rel=1e-9)
    assert np.isnan(without.held_out_losses).all()


def mean_loss(coef: np.ndarray, kept: np.ndarray) -> float:
    value, _ = LogisticLoss().value_and_derivative(Y[kept], X[kept] @ coef[:5] + coef[5])
    return float(value.mean())


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "sgd"])
def test_held_out_rows_select_the_best_point_without_patience(solver):
    outcome = FIT.but(solver=settings(solver), held_out=2, stopping=Stopping(8, 0.0)).run(FOLDS)
    best = int(np.argmin(outcome.held_out_losses))
    assert min(outcome.held_out_losses) == pytest.approx(mean_loss(outcome.coef, FOLDS.fold == 2), rel=1e-9)
    assert outcome.objective == outcome.objectives[-1 if solver in STOCHASTIC else best]
    penalty = 0.005 * float(outcome.coef[:5] @ outcome.coef[:5])
    assert outcome.objective == pytest.approx(mean_loss(outcome.coef, FOLDS.fold != 2) + penalty, rel=1e-9)


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "newton"])
def test_early_stopping_returns_the_best_point_on_the_held_out_rows(solver):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(90, 60))
    label = (noise[:, 0] + rng.logistic(size=90) > 0).astype(float)
    block = replace(block_of(noise, label), fold=(np.arange(90) % 2).astype(np.uint8))
    patient = Stopping(200, 0.0, patience=3)
    outcome = FIT.but(solver=settings(solver), reg=0.0, held_out=1, stopping=patient).run(block)
    assert outcome.ending.status is Status.STOPPED_EARLY
    kept = block.fold == 1
    value, _ = LogisticLoss().value_and_derivative(label[kept], noise[kept] @ outcome.coef[:60] + outcome.coef[60])
    if solver != "sgd":  # whose losses are those of its batches
        assert min(outcome.held_out_losses) == pytest.approx(value.mean(), rel=1e-9)
    if solver in STOCHASTIC:  # the last losses are those of the result
        assert outcome.held_out_losses[-1] == pytest.approx(value.mean(), rel=1e-9)
    else:
        assert outcome.held_out_losses[-1] > min(outcome.held_out_losses)


def test_a_step_that_is_too_long_is_reported_as_divergence():
    fit = LocalFit(
        SquaredLoss(), SolverSettings("gd", step_size=10.0, schedule="constant"), stopping=Stopping(10**4, 0.0)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        outcome = fit.run(BLOCK)
    assert outcome.ending.status is Status.DIVERGED
    assert "smaller step size" in outcome.ending.reason
    assert np.isfinite(outcome.coef).all()


@each_solver
def test_weights_are_repeated_rows(solver):
    weight = np.random.default_rng(1).integers(0, 4, 300).astype(float)
    repeated = BLOCK.take(np.repeat(np.arange(300), weight.astype(int)))
    fit = FIT.but(stopping=Stopping(300, 1e-9), solver=SolverSettings(solver, fraction=1.0))
    weighted, plain = fit.run(block_of(X, Y, weight)), fit.run(repeated)
    if solver in STOCHASTIC:  # about the same steps
        np.testing.assert_allclose(weighted.objectives[-1], plain.objectives[-1], rtol=0.02)
    else:
        np.testing.assert_allclose(weighted.coef, plain.coef, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_batches_of_one_row_respect_sample_weights():
    weight = np.where(Y == 1.0, 3.0, 1.0)
    block = block_of(np.ones((300, 1)), Y, weight)  # a constant column: only the intercept is fitted
    sgd = SolverSettings("sgd", batch_size=1, step_size=2.0, schedule="inverseSqrt")
    coefs = [FIT.but(solver=replace(sgd, seed=s), stopping=Stopping(2000, 0.0)).run(block).coef[1] for s in range(4)]
    share = weight @ Y / weight.sum()
    assert np.mean(coefs) == pytest.approx(np.log(share / (1 - share)), abs=0.25)


def test_an_empty_batch_is_no_convergence():
    sgd = SolverSettings("sgd", fraction=1e-9, step_size=0.1)
    outcome = FIT.but(solver=sgd, stopping=Stopping(7, 1e-6), reg=0.0).run(BLOCK)
    assert outcome.ending.status is Status.MAX_ITERATIONS
    assert outcome.iterations == 7


def test_a_schedule_that_a_solver_does_not_have_is_refused():
    with pytest.raises(IncompatibleError, match="schedule='lineSearch' cannot be used with solver='sgd'; give one of"):
        FIT.but(solver=SolverSettings("sgd", schedule="lineSearch")).run(BLOCK)


def test_a_start_that_is_not_finite_is_refused():
    for start in ((np.full((1, 5), np.nan), None), (np.zeros((1, 5)), np.array([np.inf]))):
        with pytest.raises(InvalidParamError, match="not finite"):
            FIT.but(start=start).run(BLOCK)


def test_a_start_of_the_wrong_shape_is_refused():
    with pytest.raises(InvalidParamError, match=r"\(1, 4\).*\(1, 5\)"):
        FIT.but(start=(np.zeros((1, 4)), None)).run(BLOCK)


def test_a_system_that_is_not_finite_has_no_solution():
    assert np.isnan(solve_positive(np.full((2, 2), np.nan), np.ones(2))).all()
    assert solve_positive(np.zeros((0, 0)), np.zeros(0)).shape == (0,)
    singular = np.array([[1.0, 1.0], [1.0, 1.0]])
    solution = solve_positive(singular, np.array([2.0, 2.0]))
    np.testing.assert_allclose(singular @ solution, [2.0, 2.0], rtol=1e-6)


def test_a_warm_start_at_the_optimum_ends_at_once():
    cold = FIT.but(stopping=Stopping(100, 1e-8)).run(BLOCK)
    warm = FIT.but(start=(cold.coef[None, :5], cold.coef[5:])).run(BLOCK)
    assert warm.iterations == 0 < cold.iterations
    assert warm.ending.status is Status.CONVERGED


def test_constant_columns_get_coefficient_zero():
    with_constant = np.column_stack([X, np.full(300, 7.0), np.zeros(300)])
    assert statistics_of(block_of(with_constant, Y))[Group()].deviation()[5] < 1e-12
    for solver in SOLVERS:
        outcome = FIT.but(solver=settings(solver), reg=0.01, stopping=Stopping(30, 1e-6)).run(
            block_of(with_constant, Y)
        )
        np.testing.assert_array_equal(outcome.coef[5:7], 0.0)
