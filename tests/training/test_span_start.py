"""With fewer rows than columns, the solution in the span of the rows is the solution."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss, Loss, MultinomialLoss, PoissonLoss, SquaredLoss
from sparkgd.penalties import ElasticNet
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support import plans
from tests.support.blocks import as_csr, labels_for, split
from tests.support.local import LocalFit
from tests.support.plans import prepared, training_set

LOSSES = {loss.name: loss for loss in (SquaredLoss(), LogisticLoss(), PoissonLoss(), MultinomialLoss(3))}


def wide_block(loss: Loss, rows: int = 24, columns: int = 1100) -> Block:
    """Columns of scales far apart and off centre, a constant one, weights, offsets and folds."""
    random = np.random.default_rng(3)
    features = (random.normal(size=(rows, columns)) + 0.5) * 10.0 ** random.uniform(-2.0, 2.0, columns)
    features[:, 4] = 7.0
    return Block(
        DenseFeatures(features),
        labels_for(loss, random, rows),
        random.choice([0.0, 1.0, 2.5], rows),
        random.normal(size=rows),
        random.integers(0, 3, rows).astype(np.uint8),
    )


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("held_out", [-1, 1])
def test_the_first_evaluation_finds_it_converged(loss, fit_intercept, standardize, held_out):
    blocks = split(wide_block(loss), [5, 11])
    fit = LocalFit(loss, reg=0.1, standardize=standardize, fit_intercept=fit_intercept, held_out=held_out)
    outcome = plans.fit(fit.settings, training_set(blocks, held_out))
    assert "it starts from the solution in the span of the 24 rows" in outcome.result.reason
    found = [(stage.name, stage.is_local) for stage in outcome.stages]
    assert found == [("rows", False), ("span of the rows", True), ("all rows", False)]
    assert len(outcome.seconds) == 2, "one for the rows, one for the first evaluation"
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.iterations == 0
    assert outcome.gradient_norms[0] <= 1e-7 * np.sqrt(abs(outcome.objectives[0]))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("stored", [lambda block: block, as_csr])
def test_it_equals_the_solution_over_all_columns(loss, stored):
    block = stored(wide_block(loss))
    fit = LocalFit(loss, reg=0.1, standardize=True, stopping=Stopping(2000, 1e-10))
    few, full = fit.run(block), fit.but(solver=SolverSettings("l-bfgs")).run(block)
    assert few.objectives[-1] == pytest.approx(full.objectives[-1], rel=1e-12)
    weights = full.coef[: -loss.num_outputs]  # several intercepts are known but for a constant
    np.testing.assert_allclose(few.coef[: len(weights)], weights, atol=1e-8 * np.abs(weights).max())


def test_a_column_without_penalty_or_with_l1_needs_all_columns():
    loss = LogisticLoss()
    block = wide_block(loss)
    ones = np.ones(1100)
    for l1, l2 in [(0.0 * ones, np.where(np.arange(1100) == 9, 0.0, 0.1)), (0.1 * ones, 0.1 * ones)]:
        settings = FitSettings(
            loss, lambda known, outputs, at=(l1, l2): ElasticNet(*at), True, False, SolverSettings(), Stopping(9, 1e-6)
        )
        assert prepared(settings, training_set([block])).names in ((), ("first gradient",))


def test_a_user_who_names_the_solver_or_the_start_gets_it():
    loss = LogisticLoss()
    block = wide_block(loss)
    named = LocalFit(loss, reg=0.1, solver=SolverSettings("l-bfgs")).final([block])
    assert not named.start_coef[:-1].any()
    weights = np.full((1, 1100), 0.01)
    started = LocalFit(loss, reg=0.1, start=(weights, None)).final([block])
    np.testing.assert_array_equal(started.start_coef[:-1], weights[0])
