"""`auto` takes Newton's method for wide data under L1 where the first gradient moves few coefs."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.engine.driver import DriverEngine
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.penalties import ElasticNet
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SolverSettings
from sparkgd.training.first_gradient import moving_coefs
from sparkgd.training.loop import train
from sparkgd.training.plan import Prepared, prepare
from sparkgd.training.settings import TrainingSpec
from sparkgd.training.stopping import Stopping
from tests.support.local import LocalFit

ROWS, COLUMNS = 1200, 1100


@pytest.fixture(scope="module")
def block() -> Block:
    random = np.random.default_rng(5)
    features = random.normal(size=(ROWS, COLUMNS))
    label = (features[:, :3].sum(axis=1) + random.normal(size=ROWS) > 0.0).astype(float)
    return Block(DenseFeatures(features), label, np.ones(ROWS))


def prepared(block: Block, strength: float, solver: str = "auto") -> Prepared:
    penalty = ElasticNet(np.full(COLUMNS, strength), np.zeros(COLUMNS))
    spec = TrainingSpec(LogisticLoss(), lambda *_: penalty, True, False, SolverSettings(solver), Stopping(100, 1e-6))
    return prepare(spec, LocalFit(LogisticLoss())._statistics([block]), ROWS, DriverEngine([block]))


def test_it_counts_the_columns_that_l1_does_not_screen_out(block):
    task = prepared(block, 0.05, "owlqn").task
    residual = block.label.mean() - block.label
    gradient = block.features.transpose_dot(residual) / ROWS
    assert moving_coefs(task, DriverEngine([block])) == np.count_nonzero(np.abs(gradient) > 0.05) + 1


@pytest.mark.parametrize(("strength", "expected"), [(0.05, "newton"), (1e-5, "owlqn")])
def test_few_of_them_call_for_newton(block, strength, expected):
    ready = prepared(block, strength)
    assert ready.choice.name == expected
    assert ready.task.solver.name == expected
    assert len(ready.seconds) == 1


def test_the_optimum_is_that_of_owlqn_in_fewer_rounds(block):
    newton, owlqn = (prepared(block, 0.02, solver) for solver in ("auto", "owlqn"))
    fast, slow = (train(DriverEngine([block]), [ready.task])[0] for ready in (newton, owlqn))
    assert newton.choice.name == "newton"
    assert fast.ending.status is Status.CONVERGED
    assert fast.objectives[-1] == pytest.approx(slow.objectives[-1], rel=1e-6)
    assert len(newton.seconds) + len(fast.seconds) < len(slow.seconds)
