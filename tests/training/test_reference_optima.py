"""`auto` reaches the certified optima of real data, on the driver engine without Spark."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.solvers.base import Status
from tests.support.datasets import load
from tests.support.local import LocalFit, block_of
from tests.support.optima import DATASETS, LOSSES, l2_problems, label_of, objective

PROBLEMS = l2_problems(*DATASETS)


def test_there_are_problems():
    if not PROBLEMS:
        pytest.skip("the shared data are absent; set SPARKGD_SHARED to their directory")
    assert {problem.dataset for problem in PROBLEMS} == set(DATASETS)


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_auto_reaches_the_reference_optimum(problem):
    features = load(problem.dataset)[0]
    # Half of the values stored or more: as ingest would pack them.
    dense = features.nnz >= 0.5 * np.prod(features.shape)
    block = block_of(features.toarray() if dense else features, label_of(problem))
    fit = LocalFit(
        LOSSES[problem.loss],
        reg=problem.reg,
        standardize=problem.standardization,
        fit_intercept=problem.intercept,
    )
    outcome = fit.run(block, [block.rows // 2])
    assert outcome.ending.status is Status.CONVERGED
    weights = outcome.coef[: features.shape[1]]
    intercept = float(outcome.coef[-1]) if problem.intercept else 0.0
    found = objective(problem, weights, intercept)
    assert found == pytest.approx(problem.objective, rel=1e-6)
    assert found == pytest.approx(outcome.objectives[-1], rel=1e-9)
