"""A validation column: which model is returned, and what the summary says of it."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.losses import LogisticLoss
from tests.support.frames import frame
from tests.support.objectives import PenalisedLoss

RNG = np.random.default_rng(0)
ROWS, COLUMNS = 90, 60
X = RNG.normal(size=(ROWS, COLUMNS))
Y = (X[:, 0] + RNG.logistic(size=ROWS) > 0).astype(float)
HELD = np.arange(ROWS) % 2 == 1
TRAINING = PenalisedLoss(LogisticLoss(), X[~HELD], Y[~HELD], np.ones(np.count_nonzero(~HELD)), 1e-3)
VALIDATION = PenalisedLoss(LogisticLoss(), X[HELD], Y[HELD], np.ones(np.count_nonzero(HELD)))


@pytest.fixture(scope="module")
def df(spark):
    cached = frame(spark, X, Y, held=HELD).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize("patience", [{}, {"earlyStoppingRounds": 2}], ids=["alone", "with patience"])
@pytest.mark.parametrize("solver", ["gd", "l-bfgs", "newton"])
def test_the_model_is_the_best_on_the_validation_rows_and_the_summary_says_so(df, solver, patience):
    """Overfitting: 45 rows to train on, 60 columns of noise."""
    estimator = LogisticRegression(
        validationIndicatorCol="held", solver=solver, regParam=1e-3, maxIter=3000, **patience
    )
    model = estimator.fit(df)
    summary = model.summary
    best = int(np.argmin(summary.validationHistory))
    assert best < len(summary.validationHistory) - 1, "the last iterations overfit"
    assert VALIDATION.of(model) == pytest.approx(summary.validationHistory[best], rel=1e-9)
    assert summary.objective == pytest.approx(TRAINING.of(model), rel=1e-9)
    assert summary.objective == summary.objectiveHistory[best]
    assert f"the model is that of iteration {best}" in summary.statusReason
    assert summary.status == ("stopped early" if patience else "converged")


def test_without_validation_the_model_is_the_last(df):
    summary = LogisticRegression(regParam=1e-3).fit(df).summary
    assert summary.objective == summary.objectiveHistory[-1]
    assert "the model is that of" not in summary.statusReason
