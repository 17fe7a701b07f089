"""Labels that decide a model by themselves, without Spark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.data.statistics import Group, Statistics, statistics_of
from sparkgd.losses import HingeLoss, JointHuberLoss, LogisticLoss, MultinomialLoss, PoissonLoss, SquaredLoss
from sparkgd.penalties import Bounded, ElasticNet, Penalty
from sparkgd.solvers.registry import SolverSettings
from sparkgd.training.constant_label import decided_model
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.local import LocalFit, block_of

inf = np.inf
X = np.random.default_rng(3).normal(size=(40, 2))
SPEC = FitSettings(
    LogisticLoss(), lambda statistics, outputs: ridge(outputs), True, True, SolverSettings(), Stopping(100, 1e-6)
)


def ridge(outputs: int) -> Penalty:
    return ElasticNet(np.zeros(2 * outputs), np.full(2 * outputs, 0.3))


def statistics_with(label: float, weight: np.ndarray | None = None) -> Statistics:
    labels = np.full(40, label)
    if weight is not None:
        labels[weight == 0.0] = label + 1.0
    return statistics_of(block_of(X, labels, weight))[Group()]


@pytest.mark.parametrize(
    ("loss", "label", "intercepts", "objective"),
    [
        (LogisticLoss(), 0.0, [-inf], 0.0),
        (LogisticLoss(), 1.0, [inf], 0.0),
        (MultinomialLoss(3), 1.0, [0.0, inf, 0.0], 0.0),
        (SquaredLoss(), 0.1, [0.1], 0.0),
        (JointHuberLoss(), 3.5, [3.5, 1.0], 0.5),
        (HingeLoss(), 0.0, [-1.0], 0.0),
        (PoissonLoss(), 0.0, [-inf], 0.0),
        (PoissonLoss(), 2.0, [np.log(2.0)], 2.0 - 2.0 * np.log(2.0)),
    ],
)
@pytest.mark.parametrize("weight", [None, np.arange(40) % 3.0], ids=["plain", "other labels weigh nothing"])
def test_the_intercept_alone_says_the_label(loss, label, intercepts, objective, weight):
    found = decided_model(replace(SPEC, loss=loss), statistics_with(label, weight), has_offset=False)
    np.testing.assert_array_equal(found.weights, np.zeros((loss.num_outputs, 2)))
    np.testing.assert_array_equal(found.intercepts, intercepts)
    assert found.objective == pytest.approx(objective, abs=1e-15)


def test_two_labels_decide_nothing():
    assert decided_model(SPEC, statistics_of(block_of(X, np.arange(40) % 2.0))[Group()], False) is None


@pytest.mark.parametrize(
    ("loss", "label", "is_decided"),
    [(LogisticLoss(), 1.0, False), (SquaredLoss(), 0.1, False), (SquaredLoss(), 0.0, True), (PoissonLoss(), 1.0, True)],
)
def test_without_intercept_only_a_raw_prediction_of_zero_is_known(loss, label, is_decided):
    found = decided_model(replace(SPEC, loss=loss, fit_intercept=False), statistics_with(label), False)
    assert (found is not None) == is_decided


def test_offsets_need_weights_except_next_to_an_infinite_intercept():
    assert decided_model(replace(SPEC, loss=SquaredLoss()), statistics_with(2.0), has_offset=True) is None
    assert decided_model(SPEC, statistics_with(1.0), has_offset=True).intercepts[0] == inf


def test_bounds_on_the_intercept_that_forbid_infinity_make_the_fit_an_ordinary_one():
    above, below = Bounded(np.array([2.0]), np.array([inf])), Bounded(np.array([-inf]), np.array([2.0]))
    assert decided_model(replace(SPEC, intercept_penalty=above), statistics_with(1.0), False).intercepts[0] == inf
    assert decided_model(replace(SPEC, intercept_penalty=below), statistics_with(1.0), False) is None
    three = Bounded(np.full(3, -2.0), np.array([inf, -1.0, inf]))
    spec = replace(SPEC, loss=MultinomialLoss(3), intercept_penalty=three)
    np.testing.assert_array_equal(decided_model(spec, statistics_with(2.0), False).intercepts, [0.0, -1.0, inf])
    assert decided_model(spec, statistics_with(1.0), False) is None


def test_weights_are_those_of_least_penalty_within_bounds():
    def penalty(statistics: Statistics, outputs: int) -> Penalty:
        return Bounded(np.array([0.5, -1.0]), np.array([inf, inf]), ridge(outputs))

    found = decided_model(replace(SPEC, penalty=penalty), statistics_with(1.0), False)
    np.testing.assert_array_equal(found.weights, [[0.5, 0.0]])
    assert found.objective == pytest.approx(0.5 * 0.3 * 0.25)
    assert decided_model(replace(SPEC, loss=SquaredLoss(), penalty=penalty), statistics_with(1.0), False) is None


@pytest.mark.parametrize("loss", [LogisticLoss(), MultinomialLoss(3)], ids=["logistic", "multinomial"])
@pytest.mark.parametrize("solver", ["newton", "l-bfgs", "newton-cg"])
def test_the_ordinary_fit_of_one_label_without_intercept_reaches_the_optimum(loss, solver):
    label = np.full(40, loss.num_outputs - 1.0 if loss.num_outputs > 1 else 1.0)
    fit = LocalFit(loss, SolverSettings(solver), 0.05, fit_intercept=False, stopping=Stopping(50, 1e-9))
    outcome = fit.run(block_of(X, label))
    assert outcome.ending.status.value == "converged"
    raw = X @ outcome.coef.reshape(-1, 2).T
    derivative = loss.value_and_derivative(label, raw if loss.num_outputs > 1 else raw[:, 0])[1].reshape(40, -1)
    np.testing.assert_allclose(derivative.T @ X / 40 + 0.05 * outcome.coef.reshape(-1, 2), 0.0, atol=1e-8)
