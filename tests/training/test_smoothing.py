"""Losses with kinks: weak duality as a law, minima from linear programs, SVMs and reference optima."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize
from sklearn.svm import SVR

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels import Block
from sparkgd.losses import EpsilonInsensitiveLoss, HingeLoss, PiecewiseLinearLoss, QuantileLoss
from sparkgd.penalties import ElasticNet, NoPenalty, Penalty, elastic_net
from sparkgd.questions import CertificateQuestion, CompoundQuestion
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.history import Outcome
from sparkgd.training.rounds import Asked, run_round
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.bits import bits
from tests.support.blocks import csr
from tests.support.datasets import all_problems, load
from tests.support.plans import advanced, final_stage, first_state, fit, solve, training_set
from tests.support.problems import COLUMNS, DEVIATIONS, SmallProblem, rows

KINKED: dict[str, PiecewiseLinearLoss] = {
    "hinge": HingeLoss(),
    "median": QuantileLoss(0.5),
    "quantile 0.9": QuantileLoss(0.9),
    "epsilon 0": EpsilonInsensitiveLoss(0.0),
    "epsilon 1.5": EpsilonInsensitiveLoss(1.5),
}
L1, L2 = 0.05 * DEVIATIONS, 0.02 * DEVIATIONS**2
PROVABLE: dict[str, Penalty] = {"l2": ElasticNet(0.0 * L1, L2), "elastic net": ElasticNet(L1, L2)}
LINEAR: dict[str, Penalty] = {"none": NoPenalty(), "l1": ElasticNet(L1, 0.0 * L2)}
SMOOTHERS = [name for name, entry in SOLVERS.items() if entry.takes_kinks]
PAIRS = [(name, penalty) for name in SMOOTHERS for penalty in PROVABLE if SOLVERS[name].takes_rough or penalty == "l2"]

every_loss = pytest.mark.parametrize("loss", KINKED.values(), ids=KINKED)
every_provable = pytest.mark.parametrize("penalty", PROVABLE.values(), ids=PROVABLE)
every_smoother = pytest.mark.parametrize("solver", SMOOTHERS)


@every_loss
@every_provable
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("width", [0.01, 1.0, 30.0])
def test_every_bound_is_below_every_objective(loss, penalty, fit_intercept, width):
    problem, random = SmallProblem(loss, penalty), np.random.default_rng(5)
    blocks = [
        replace(b, offset=random.normal(size=b.rows), weight=random.uniform(0, 2, b.rows)) for b in problem.blocks()
    ]
    settings = FitSettings(loss, lambda s, k: penalty, fit_intercept, False, SolverSettings(), Stopping(10, 1e-6))
    final = final_stage(settings, training_set(blocks))
    points = random.normal(size=(20, COLUMNS + int(fit_intercept))) * random.choice([0.0, 0.1, 1.0, 5.0], (20, 1))
    question = CompoundQuestion((CertificateQuestion(points, width),))
    found = run_round([Asked(final.problem, question, final.rows)])[0].reply.parts[0].certificate
    assert np.all(np.isfinite(found.bounds))
    assert found.bounds.max() <= found.objectives.min() + 1e-12
    assert np.all(found.errors >= -1e-13)


@every_loss
@pytest.mark.parametrize(("solver", "penalty"), PAIRS)
def test_converges_with_a_proof(loss, solver, penalty):
    problem = SmallProblem(loss, PROVABLE[penalty])
    outcome = problem.fit(SolverSettings(solver), Stopping(max_iterations=2000, tol=1e-6))
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.ending.reason.startswith("duality gap")
    objective = problem.objective(outcome.coef)
    assert objective == pytest.approx(outcome.objectives[-1], rel=1e-12)
    assert 0.0 <= outcome.duality_gap <= 1e-6 * objective
    tighter = problem.fit(SolverSettings("newton"), Stopping(max_iterations=2000, tol=1e-8))
    assert tighter.ending.status is Status.CONVERGED
    assert objective - outcome.duality_gap <= problem.objective(tighter.coef) <= objective


@every_loss
@pytest.mark.parametrize(("solver", "penalty"), PAIRS)
def test_without_looking_ahead_rounds_sum_less_and_the_optimum_is_the_same(loss, solver, penalty):
    problem = SmallProblem(loss, PROVABLE[penalty])
    eager = problem.final(SolverSettings(solver), Stopping(2000, 1e-6))
    lazy = replace(eager, solver=replace(eager.solver, is_eager=False))
    found, expected = solve(lazy), solve(eager)
    assert found.ending.status is Status.CONVERGED
    assert found.objectives[-1] - found.duality_gap <= expected.objectives[-1]
    assert found.objectives[-1] == pytest.approx(expected.objectives[-1], rel=2e-6)
    first = first_state(lazy)
    assert len(lazy.solver.ask(first).questions) < len(eager.solver.ask(first).questions)


@every_smoother
def test_resumes_from_a_pickled_state_with_the_same_bits(solver):
    problem = SmallProblem(HingeLoss(), PROVABLE["l2"])
    final = problem.final(SolverSettings(solver), Stopping(100, 1e-6))
    first = first_state(final)
    half, whole = pickle.loads(pickle.dumps(advanced(final, first, 14))), advanced(final, first, 18)
    assert half.width < final.solver.width
    assert bits(advanced(final, half, 4)) == bits(whole)


@every_smoother
def test_held_out_rows_neither_train_nor_enter_the_proof(solver):
    problem = SmallProblem(HingeLoss(), PROVABLE["l2"])
    whole = problem.blocks()
    folds = [(np.arange(block.rows) % 4 == 0).astype(np.uint8) for block in whole]
    kept = [block.take(np.flatnonzero(fold == 0)) for block, fold in zip(whole, folds, strict=True)]
    aside = [block.take(np.flatnonzero(fold == 1)) for block, fold in zip(whole, folds, strict=True)]

    def fitted(blocks: list[Block], held_out: int) -> Outcome:
        settings = FitSettings(
            problem.loss, lambda s, k: problem.penalty, True, False, SolverSettings(solver), Stopping(1000, 1e-6),
            held_out=held_out,
        )  # fmt: skip
        return fit(settings, training_set(blocks, held_out))

    alone = fitted(kept, -1)
    beside = fitted([replace(block, fold=fold) for block, fold in zip(whole, folds, strict=True)], 1)
    assert beside.objectives[-1] == pytest.approx(alone.objectives[-1], rel=2e-6)
    assert beside.last.solver.duality_gap <= 1e-6 * beside.objectives[-1]

    def mean_loss(coef: np.ndarray) -> float:
        losses = [problem.loss.value_and_derivative(b.label, b.features.dot(coef[:-1]) + coef[-1])[0] for b in aside]
        return float(np.concatenate(losses).mean())

    last = beside.result.problem.raw_coef(beside.last.solver.point)
    assert beside.held_out_losses[-1] == pytest.approx(mean_loss(last), rel=1e-9)
    assert min(beside.held_out_losses) == pytest.approx(mean_loss(beside.coef), rel=1e-9)
    # The model is the best point on the held-out rows, not the last one; what is proven is proven of the model.
    assert beside.objective - beside.duality_gap <= alone.objective


def minimum_by_linear_program(loss: PiecewiseLinearLoss, l1: np.ndarray) -> float:
    """Minimum of mean loss plus ``l1 . |w|``: each row's loss is the largest of three linear functions."""
    features, label = rows(loss)
    count = len(label)
    slope = np.broadcast_to(loss.slope(label), label.shape)
    design = slope[:, None] * np.column_stack([features, -features, np.ones(count)])
    constant = loss.residual(label, np.zeros(count))
    low, high = loss.dual_range
    minus = -np.eye(count)
    above = np.hstack([high * design, minus]), -high * (constant - loss.dead_zone)
    below = np.hstack([low * design, minus]), -low * (constant + loss.dead_zone)
    found = optimize.linprog(
        np.concatenate([l1, l1, [0.0], np.full(count, 1.0 / count)]),
        A_ub=np.vstack([above[0], below[0]]),
        b_ub=np.concatenate([above[1], below[1]]),
        bounds=[(0, None)] * (2 * COLUMNS) + [(None, None)] + [(0, None)] * count,
    )
    assert found.status == 0
    return float(found.fun)


@every_loss
@pytest.mark.parametrize("penalty", LINEAR)
def test_reaches_the_minimum_of_a_linear_program(loss, penalty):
    problem = SmallProblem(loss, LINEAR[penalty])
    outcome = problem.fit(SolverSettings(), Stopping(max_iterations=500, tol=1e-6))
    assert outcome.ending.status is Status.CONVERGED
    minimum = minimum_by_linear_program(loss, L1 if penalty == "l1" else np.zeros(COLUMNS))
    assert problem.objective(outcome.coef) == pytest.approx(minimum, rel=1e-5)
    assert problem.objective(outcome.coef) - outcome.duality_gap <= minimum + 1e-12


def test_reaches_the_minimum_of_support_vector_regression():
    loss, strength = EpsilonInsensitiveLoss(0.5), 0.1
    features, label = rows(loss)
    problem = SmallProblem(loss, elastic_net(strength, 0.0, np.ones(COLUMNS)))
    outcome = problem.fit(SolverSettings(), Stopping(max_iterations=500, tol=1e-8))
    machine = SVR(kernel="linear", C=1.0 / (strength * len(label)), epsilon=0.5, tol=1e-9).fit(features, label)
    theirs = problem.objective(np.append(machine.coef_[0], machine.intercept_))
    assert problem.objective(outcome.coef) == pytest.approx(theirs, rel=1e-6)


@every_loss
@pytest.mark.parametrize(
    "solver", [name for name, entry in SOLVERS.items() if not (entry.takes_kinks or entry.takes_subgradients)]
)
def test_a_solver_without_smoothing_names_those_that_work(loss, solver):
    problem = SmallProblem(loss, NoPenalty())
    with pytest.raises(IncompatibleError, match=r"not differentiable\. Solvers that work: .*'newton'"):
        problem.final(SolverSettings(solver), Stopping(10, 1e-6))


class RoughHinge(HingeLoss):
    """A loss with a kink of which no smoothing is known."""

    can_be_smoothed = False


@pytest.mark.parametrize("solver", ["auto", *SMOOTHERS])
def test_a_kink_of_which_no_smoothing_is_known_is_refused(solver):
    with pytest.raises(IncompatibleError, match="the hinge loss is not differentiable"):
        SmallProblem(RoughHinge(), NoPenalty()).final(SolverSettings(solver), Stopping(10, 1e-6))


def fit_reference(name: str) -> tuple[Outcome, float]:
    problem = next((p for p in all_problems() if p.id == name), None) or pytest.skip("no reference optima here")
    features, label = load(problem.dataset)
    if problem.dataset == "covtype20k":
        label = (label == 1.0).astype(np.float64)
    blocks = [Block(csr(part), y, np.ones(len(y))) for part, y in _halves(features, label)]
    penalty = elastic_net(problem.reg, problem.alpha, np.ones(features.shape[1]))
    settings = FitSettings(
        HingeLoss(), lambda s, k: penalty, True, problem.standardization, SolverSettings(), Stopping(100, 1e-6)
    )
    return fit(settings, training_set(blocks)), problem.objective


def _halves(features, label):
    half = len(label) // 2
    return [(features[:half], label[:half]), (features[half:], label[half:])]


@pytest.mark.parametrize(
    "name", ["breast_cancer.hinge_l2_0.01", "breast_cancer.hinge_l2_0.0001", "covtype20k.hinge_l2_0.01"]
)
def test_reference_optima_of_support_vector_machines(name):
    outcome, optimum = fit_reference(name)
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] == pytest.approx(optimum, rel=1e-6)
    assert outcome.objectives[-1] - outcome.duality_gap <= optimum * (1.0 + 1e-12)
    assert len(outcome.seconds) <= 60
