"""Newton's method on a working set of the columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.penalties import ElasticNet
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.solvers.working_set import working_set
from sparkgd.training.history import Outcome
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.blocks import as_csr, labels_for
from tests.support.plans import fit, solve, training_set
from tests.support.problems import small_problems

PIECEWISE = [
    name for name, problem in small_problems().items() if problem.penalty.is_piecewise and not problem.penalty.is_smooth
]
TIGHT = Stopping(500, 1e-10)


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize("room", [1, 3])
def test_a_set_however_small_leads_to_the_optimum(name, room, monkeypatch):
    monkeypatch.setattr("sparkgd.solvers.working_set.ROOM", room)
    problem = small_problems()[name]
    final = problem.final(SolverSettings("newton"), TIGHT)
    outcome = solve(replace(final, solver=replace(final.solver, largest=2)))
    assert outcome.ending.status is Status.CONVERGED
    assert problem.objective(outcome.coef) == pytest.approx(problem.minimum(), rel=1e-7)


def wide_fit(loss, solver: str, stored, strength: float, mix: float = 1.0) -> Outcome:
    random = np.random.default_rng(2)
    columns, outputs = 1500, loss.num_outputs
    features = random.normal(size=(60, columns)) + random.normal(size=(60, 1))
    features[:, 7] = 2.0
    block = stored(Block(DenseFeatures(features), labels_for(loss, random, 60), random.uniform(0.5, 2.0, 60)))
    l1, l2 = (np.full(outputs * columns, strength * share) for share in (mix, 1.0 - mix))
    settings = FitSettings(loss, lambda *_: ElasticNet(l1, l2), True, False, SolverSettings(solver), TIGHT)
    return fit(settings, training_set([block]))


@pytest.mark.parametrize("loss", [LogisticLoss(), SquaredLoss(), MultinomialLoss(3)], ids=lambda loss: loss.name)
@pytest.mark.parametrize("stored", [lambda block: block, as_csr], ids=["dense", "csr"])
@pytest.mark.parametrize("mix", [1.0, 0.7])
def test_it_equals_owlqn_in_fewer_rounds(loss, stored, mix):
    newton, owlqn = (wide_fit(loss, solver, stored, 0.05, mix) for solver in ("newton", "owlqn"))
    assert newton.ending.status is Status.CONVERGED
    assert newton.objectives[-1] <= owlqn.objectives[-1] * (1.0 + 1e-9)
    assert len(newton.seconds) < len(owlqn.seconds)


def test_the_set_holds_what_is_off_its_kink_and_the_steepest(monkeypatch):
    penalty = ElasticNet(np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0]), np.zeros(6))
    point = np.array([0.0, 2.0, 0.0, 0.0, 3.0, 0.0])
    gradient = np.array([5.0, 0.0, 0.5, -4.0, 0.0, 0.0])
    assert working_set(penalty, point, gradient, 100).tolist() == [0, 1, 3, 4]
    monkeypatch.setattr("sparkgd.solvers.working_set.ROOM", 1)
    assert working_set(penalty, point, gradient, 100).tolist() == [0, 1, 3, 4]
    assert working_set(penalty, point, gradient, 3).tolist() == [0, 1, 4]
