"""Coefficients that R's glmnet and lars have printed, for data of a few rows.

The values, and the R code that made them, are in the public tests of other libraries, which check themselves by them:

- scikit-learn: ``test_logistic_glmnet`` (sklearn/linear_model/tests/test_logistic.py), ``test_poisson_glmnet``
  (sklearn/linear_model/_glm/tests/test_glm.py), ``test_lasso_lars_vs_R_implementation``
  (sklearn/linear_model/tests/test_least_angle.py);
- glum: ``test_poisson_enet`` (tests/glm/test_glm.py).

glmnet minimises what ``pyspark.ml`` does: mean loss plus ``lambda * ((1 - alpha) / 2 * |b|_2^2 + alpha * |b|_1)``.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.regression import GradientDescentRegressor, LinearRegression
from tests.support.frames import frame

TIGHT = {"tol": 1e-12, "maxIter": 1000, "standardization": False}
"""glmnet was told ``standardize=F`` and a threshold of 1e-10 or less."""

each_solver = pytest.mark.parametrize("solver", ["auto", "l-bfgs"])

NINE_ROWS = np.column_stack([np.arange(-4.0, 5.0), [0, 0, 1, 0, 1, 1, 1, 0, 0]])
FOUR_ROWS = np.column_stack([[-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1]])


@each_solver
def test_ridge_of_two_classes(spark, solver):
    df = frame(spark, NINE_ROWS, np.array([0, 0, 0, 1, 1, 1, 1, 1, 1], dtype=float))
    model = LogisticRegression(regParam=1.0, solver=solver, **TIGHT).fit(df)
    np.testing.assert_allclose(model.intercept, 0.89230405539, rtol=1e-7)
    np.testing.assert_allclose(model.coefficients, [0.44464569182, 0.01457563448], rtol=1e-7)


@each_solver
def test_ridge_of_three_classes(spark, solver):
    df = frame(spark, NINE_ROWS, np.repeat([0.0, 1.0, 2.0], 3))
    model = LogisticRegression(regParam=1.0, family="multinomial", solver=solver, **TIGHT).fit(df)
    intercepts = [-0.12004759652, 0.2251747383, -0.1051271418]
    weights = [
        [-0.38023389305, -0.01226499932],
        [-8.164030176e-05, 0.04734548012],
        [0.3803155334, -0.0350804808],
    ]
    np.testing.assert_allclose(model.interceptVector, intercepts, atol=1e-7)
    np.testing.assert_allclose(model.coefficientMatrix.toArray(), weights, atol=1e-7)


COUNTS = {
    "ridge": (0.0, -0.12889386979, [0.29019207995, 0.03741173122]),
    "elastic net": (0.5, -0.03550978409, [0.16936423283, 0.0]),
}


@each_solver
@pytest.mark.parametrize("kind", COUNTS)
def test_counts(spark, kind, solver):
    alpha, intercept, weights = COUNTS[kind]
    df = frame(spark, FOUR_ROWS, np.array([0.0, 1.0, 1.0, 2.0]))
    estimator = GradientDescentRegressor(loss="poisson", regParam=1.0, elasticNetParam=alpha, solver=solver, **TIGHT)
    model = estimator.fit(df)
    np.testing.assert_allclose(model.intercept, intercept, rtol=2e-6)
    np.testing.assert_allclose(model.coefficients, weights, rtol=2e-6, atol=1e-9)
    assert (model.coefficients[1] == 0.0) == (weights[1] == 0.0)


FIVE_ROWS = np.array([
    [0.47299829, 0.08239882, 0.30114139, -0.01460346, -0.69363927],
    [0.0, 0.85784863, -0.07501577, -0.1015233, 0.06754067],
    [0.0, 0.0, 0.80895216, 0.0407278, 0.18064514],
    [0.0, 0.0, 0.0, 0.80338378, -0.0803561],
    [0.0, 0.0, 0.0, 0.0, 0.40427291],
])  # fmt: skip
FIVE_LABELS = np.array([-6.45006793, -3.51251449, -8.52445396, 6.12277822, -19.42109366])

KNOTS = {
    "one column": [0.0, 0.0, -3.577397088285891, 0.0, 0.0],
    "two columns": [0.0, 0.0, -4.702795355871871, 0.0, -1.218422599914637],
    "three columns": [0.0, 0.0, -7.016748621359461, 2.231558436628169, -3.457726183014808],
    "four columns": [0.0, -0.476624256777266, -7.614898471899412, 2.723267514525966, -4.021304522060710],
    "one has left": [-79.810362809499026, 0.0, -0.336938391359179, 2.811549786389614, -45.827461592423745],
}
"""Some corners of the path of ``lars(X, y, type="lasso", intercept=FALSE, normalize=FALSE)``."""


@each_solver
@pytest.mark.parametrize("knot", KNOTS)
def test_corners_of_the_path_of_the_lasso(spark, knot, solver):
    """There the penalty is the largest product of a column and the residuals that the printed values leave."""
    weights = np.array(KNOTS[knot])
    strength = np.abs(FIVE_ROWS.T @ (FIVE_LABELS - FIVE_ROWS @ weights)).max() / 5.0
    df = frame(spark, FIVE_ROWS, FIVE_LABELS)
    lasso = LinearRegression(regParam=float(strength), elasticNetParam=1.0, fitIntercept=False, solver=solver, **TIGHT)
    model = lasso.fit(df)
    np.testing.assert_allclose(model.coefficients, weights, rtol=1e-6, atol=1e-6)
