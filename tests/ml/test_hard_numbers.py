"""Data that are hard on arithmetic: a finite model, no worse than none, whose status is true; or a clear error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparkgd.classification import LinearSVC, LogisticRegression
from sparkgd.exceptions import SparkGDError
from sparkgd.losses import HingeLoss, LogisticLoss, SquaredLoss
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from tests.support.frames import frame
from tests.support.objectives import PenalisedLoss, coefficients_of

RNG = np.random.default_rng(21)
ROWS = 120
X = RNG.normal(size=(ROWS, 4))
RAW = X @ [1.0, -0.5, 0.25, 0.0]
NOISY = RAW + RNG.logistic(size=ROWS) > 0
ONES = np.ones(ROWS)

CASES: dict[str, tuple[Any, Any, Any]] = {
    "labels flipped": (X, NOISY ^ (RNG.random(ROWS) < 0.4), ONES),
    "labels of pure noise": (X, RNG.random(ROWS) < 0.5, ONES),
    "separable": (X, RAW > 0, ONES),
    "quasi-separable by one column": (np.column_stack([X, np.where(NOISY, 1.0, RNG.random(ROWS) < 0.5)]), NOISY, ONES),
    "duplicated columns": (np.hstack([X, X, X]), NOISY, ONES),
    "collinear columns": (np.column_stack([X, X @ [1.0, 2.0, 3.0, 4.0], 1e-9 * X[:, 0] + X[:, 1]]), NOISY, ONES),
    "constant columns": (np.column_stack([X, ONES, 0 * ONES, 1e9 * ONES]), NOISY, ONES),
    "nearly constant column": (np.column_stack([X, 1e9 + 1e-3 * RNG.normal(size=ROWS)]), NOISY, ONES),
    "large columns": (X * [1.0, 1e150, 1e100, 1e50], NOISY, ONES),
    "small columns": (X * [1.0, 1e-150, 1e-100, 1e-50], NOISY, ONES),
    "large and small columns": (X * [1e150, 1e-150, 1.0, 1e8], NOISY, ONES),
    "too large a column": (X * [1.0, 1e200, 1.0, 1.0], NOISY, ONES),
    "weights of 1e9": (X, NOISY, 1e9 * ONES),
    "weights from 1e-9 to 1e9": (X, NOISY, 10.0 ** RNG.uniform(-9, 9, ROWS)),
    "one row of weight 1e9": (X, NOISY, np.where(np.arange(ROWS) == 7, 1e9, 1.0)),
    "more columns than rows": (RNG.normal(size=(20, 60)), NOISY[:20], ONES[:20]),
    "one row": (X[:1], NOISY[:1], ONES[:1]),
    "one outlier": (np.where(np.arange(ROWS)[:, None] == 3, 1e8, 1.0) * X, NOISY, ONES),
}

ESTIMATORS = {
    "LogisticRegression": (LogisticRegression(), LogisticLoss()),
    "LinearSVC": (LinearSVC(), HingeLoss()),
    "LinearRegression": (LinearRegression(), SquaredLoss()),
    "GeneralizedLinearRegression": (GeneralizedLinearRegression(family="binomial", maxIter=100), LogisticLoss()),
}

REFUSED = {"too large a column": "feature 1 are so large that their variance overflows"}

STATUSES = {"converged", "stalled", "max iterations"}

TOLERANCE = 1e-3
"""Of objectives at the optimum of a fit that converged, relatively."""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize("case", CASES)
def test_four_estimators_have_a_finite_model_or_a_clear_error(spark, case, strength):
    features, label, weight = CASES[case]
    df = frame(spark, features, label.astype(float), 2, weight=weight).cache()
    df.count()
    try:
        for estimator, loss in ESTIMATORS.values():
            chosen = estimator.copy().setParams(regParam=strength, weightCol="weight")
            if case in REFUSED:
                with pytest.raises(SparkGDError, match=REFUSED[case]):
                    chosen.fit(df)
                continue
            model = chosen.fit(df)
            mean_loss = PenalisedLoss(loss, features, label.astype(float), weight, standardize=False)
            assert_true(model, mean_loss, is_free=strength == 0.0, is_constant=len(set(label)) == 1)
    finally:
        df.unpersist()


def assert_true(model: Any, mean_loss: PenalisedLoss, is_free: bool, is_constant: bool) -> None:
    """A finite model that is no worse than none; one that converged without a penalty has hardly a way down."""
    weights, intercepts = coefficients_of(model)
    assert np.isfinite(weights).all()
    assert np.isfinite(model.summary.objective)
    assert model.summary.status in STATUSES
    if is_constant:
        return
    assert np.isfinite(intercepts).all()
    reached, nothing = mean_loss.at(weights, intercepts), mean_loss.at(0 * weights, 0 * intercepts)
    assert reached <= nothing * (1 + 1e-9)
    if is_free and model.summary.status == "converged":
        # Along the ray from zero a linear model that has not converged gets better by growing or by shrinking.
        around = [mean_loss.at(factor * weights, factor * intercepts) for factor in (0.9, 1.1)]
        assert min(around) >= reached - TOLERANCE * nothing
