"""How strong a penalty must be for nothing to be learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.losses import LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.penalties import GroupLasso, elastic_net
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.loop import findings
from sparkgd.training.null_model import RIDGE_SHARE, zero_factor
from sparkgd.training.plan import Plan
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.local import block_of
from tests.support.plans import fit, training_set

RNG = np.random.default_rng(8)
ROWS, COLUMNS = 300, 5
X = RNG.normal(2.0, 1.0, size=(ROWS, COLUMNS)) * np.array([1.0, 10.0, 0.1, 1.0, 3.0])
MARGIN = X @ np.array([1.0, 0.05, -3.0, 0.0, 0.2])
LABELS = {
    "logistic": (LogisticLoss(), (MARGIN - MARGIN.mean() + RNG.logistic(size=ROWS) > 0).astype(float)),
    "multinomial": (MultinomialLoss(3), np.digitize(MARGIN + RNG.normal(size=ROWS), [1.5, 3.0]).astype(float)),
    "squared": (SquaredLoss(), MARGIN + RNG.normal(size=ROWS)),
}
each_loss = pytest.mark.parametrize("name", LABELS)
GROUPS = np.array([0, 0, 1, 1, 1])


def settings(name, penalty, fit_intercept=True):
    return FitSettings(LABELS[name][0], penalty, fit_intercept, False, SolverSettings(), Stopping(200, 1e-10))


def lasso(strength, factors=(1.0,) * COLUMNS, mix=1.0):
    return lambda statistics, outputs: elastic_net(strength, mix, np.tile(np.asarray(factors), outputs))


def factor_of(given, name):
    data = training_set([block_of(X, LABELS[name][1])])
    return findings(data.rows, [Plan(lambda: zero_factor(given, data))])[0]


def weights_of(given, name):
    data = training_set([block_of(X, LABELS[name][1])])
    outcome = fit(given, data)
    return outcome.result.problem.layout.weights(outcome.coef)


@each_loss
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("mix", [1.0, 0.3])
def test_at_the_factor_all_weights_are_zero_and_below_it_some_are_not(name, fit_intercept, mix):
    factor = factor_of(settings(name, lasso(1.0, mix=mix), fit_intercept), name)
    assert not weights_of(settings(name, lasso(factor * (1 + 1e-9), mix=mix), fit_intercept), name).any()
    assert weights_of(settings(name, lasso(factor * 0.98, mix=mix), fit_intercept), name).any()


@each_loss
def test_weights_without_a_penalty_are_fitted_first(name):
    factors = (0.0, 1.0, 1.0, 2.0, 1.0)
    factor = factor_of(settings(name, lasso(1.0, factors)), name)
    at, below = (weights_of(settings(name, lasso(factor * share, factors)), name) for share in (1 + 1e-6, 0.98))
    assert at[:, 0].any()
    assert not at[:, 1:].any()
    assert below[:, 1:].any()


def test_groups_are_zero_together():
    def groups(strength):
        return lambda statistics, outputs: GroupLasso(GROUPS, strength * np.sqrt([2.0, 3.0]), np.ones(COLUMNS))

    factor = factor_of(settings("logistic", groups(1.0)), "logistic")
    for share, is_zero in ((1.001, True), (0.98, False)):
        assert weights_of(settings("logistic", groups(factor * share)), "logistic").any() != is_zero


def test_without_l1_it_is_that_of_a_small_share_of_it():
    smooth = factor_of(settings("logistic", lasso(1.0, mix=0.0)), "logistic")
    assert smooth == pytest.approx(factor_of(settings("logistic", lasso(1.0)), "logistic") / RIDGE_SHARE, rel=1e-6)


def test_a_starting_point_does_not_matter():
    given = settings("logistic", lasso(1.0))
    started = replace(given, start=(np.ones((1, COLUMNS)), np.ones(1)))
    assert factor_of(started, "logistic") == factor_of(given, "logistic")
