"""Which stages a fit is made of: `auto` takes Newton's method under L1 where the first gradient moves few coefs."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.penalties import ElasticNet
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.plans import fit, prepared, training_set

ROWS, COLUMNS = 1200, 1100


@pytest.fixture(scope="module")
def block() -> Block:
    random = np.random.default_rng(5)
    features = random.normal(size=(ROWS, COLUMNS))
    label = (features[:, :3].sum(axis=1) + random.normal(size=ROWS) > 0.0).astype(float)
    return Block(DenseFeatures(features), label, np.ones(ROWS))


def settings(strength: float, solver: str = "auto", max_iterations: int = 100) -> FitSettings:
    penalty, stopping = ElasticNet(np.full(COLUMNS, strength), np.zeros(COLUMNS)), Stopping(max_iterations, 1e-6)
    return FitSettings(LogisticLoss(), lambda *_: penalty, True, False, SolverSettings(solver), stopping)


def test_it_counts_the_columns_that_l1_does_not_screen_out(block):
    residual = block.label.mean() - block.label
    gradient = block.features.transpose_dot(residual) / ROWS
    moving = np.count_nonzero(np.abs(gradient) > 0.05) + 1
    outcome = fit(settings(0.05, max_iterations=0), training_set([block]))
    assert outcome.result.reason == f"the first gradient moves {moving} coefs: only these need a Hessian"


@pytest.mark.parametrize(("strength", "expected"), [(0.05, "newton"), (1e-5, "owlqn")])
def test_few_of_them_call_for_newton(block, strength, expected):
    data = training_set([block])
    ready = prepared(settings(strength), data)
    assert ready.final.solver.name == expected
    assert ready.names == ("first gradient",)
    assert ready.rounds == 1
    assert fit(settings(strength, max_iterations=0), data).result.choice.name == expected


def test_the_optimum_is_that_of_owlqn_in_fewer_rounds(block):
    fast, slow = (fit(settings(0.02, solver), training_set([block])) for solver in ("auto", "owlqn"))
    assert fast.result.choice.name == "newton"
    assert fast.ending.status is Status.CONVERGED
    assert fast.objectives[-1] == pytest.approx(slow.objectives[-1], rel=1e-6)
    assert len(fast.seconds) < len(slow.seconds)
