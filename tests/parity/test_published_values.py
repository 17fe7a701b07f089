"""Coefficients that R's glmnet, lars and glm have printed, for data of a few rows.

The values, and the R code that made them, are in the public tests of other libraries, which check themselves by them:

- scikit-learn: ``test_logistic_glmnet`` (sklearn/linear_model/tests/test_logistic.py), ``test_poisson_glmnet``
  (sklearn/linear_model/_glm/tests/test_glm.py), ``test_lasso_lars_vs_R_implementation``
  (sklearn/linear_model/tests/test_least_angle.py);
- glum: ``test_poisson_enet`` (tests/glm/test_glm.py);
- statsmodels: ``Scotvote`` (statsmodels/genmod/tests/results/results_glm.py), R's ``glm`` of a gamma family.

glmnet minimises what ``pyspark.ml`` does: mean loss plus ``lambda * ((1 - alpha) / 2 * |b|_2^2 + alpha * |b|_1)``.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression
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


VOTES = """
60.3 712 21 105 82.4 13566 12.3 14952
52.3 643 26.5 97 80.2 13566 15.3 17039.5
53.4 679 28.3 113 86.3 9611 13.9 19215.7
57 801 27.1 109 80.4 9483 13.6 21707.1
68.7 753 22 115 64.7 9265 14.6 16566
48.8 714 24.3 107 79 9555 13.8 17350.2
65.5 920 21.2 118 72.2 9611 13.3 19504
70.5 779 20.5 114 75.2 9483 14.5 15969.5
59.1 771 23.2 102 81.1 9483 14.2 17887.2
62.7 724 20.5 112 80.3 12656 13.7 14842
51.6 682 23.8 96 83 9483 14.6 16231.6
62 837 22.1 111 74.5 12656 11.6 18497.7
68.4 599 19.9 117 83.8 8298 15.1 11920.1
69.2 680 21.5 121 77.6 9265 13.7 14620
64.7 747 22.5 109 77.9 8314 14.4 16807.5
75 982 19.4 137 65.3 9483 13.3 19050.8
62.1 719 25.9 109 80.9 8298 14.9 18622.1
67.2 831 18.5 138 80.2 9483 14.6 15373.5
67.7 858 19.4 119 84.8 12656 14.3 16645.2
52.7 652 27.2 108 86.4 13566 14.6 17734.4
65.7 718 23.7 115 73.5 9483 15 17016.6
72.2 787 20.8 126 74.7 9483 14.9 16369.6
47.4 515 26.8 106 87.8 8298 15.3 13802
51.3 732 23 103 86.6 9611 13.8 16836
63.6 783 20.5 125 78.5 9483 14.1 16051.5
50.7 612 23.7 100 80.6 9033 13.3 14504.4
51.6 486 23.2 117 84.8 8298 15.9 11275.2
56.2 765 23.6 105 79.2 9483 13.7 18054
67.6 793 21.7 125 78.4 9483 14.5 17208.1
58.9 776 23 110 77.2 9265 13.6 17848
74.7 978 19.3 130 71.5 9483 15.3 18875.4
67.3 792 21.2 126 82.2 12656 15.1 16790.4
"""
"""Scotland's referendum of 1997 by council: percentage of yes, then seven columns (Gill, 2000)."""


def test_votes(spark):
    rows = np.array([line.split() for line in VOTES.split("\n") if line], dtype=float)
    estimator = GeneralizedLinearRegression(family="gamma", tol=1e-12, maxIter=100)
    model = estimator.fit(frame(spark, rows[:, 1:], rows[:, 0]))
    weights = [
        4.961768e-05, 2.034423e-03, -7.181429e-05, 1.118520e-04, -1.467515e-07, -5.186831e-04, -2.42717498e-06
    ]  # fmt: skip
    errors = [
        1.621577e-05, 5.320802e-04, 2.711664e-05, 4.057691e-05, 1.236569e-07, 2.402534e-04, 7.460253e-07, 1.147922e-02
    ]  # fmt: skip
    summary = model.summary
    np.testing.assert_allclose(model.coefficients, weights, rtol=5e-7)
    np.testing.assert_allclose(model.intercept, -1.776527e-02, rtol=5e-7)
    np.testing.assert_allclose(summary.coefficientStandardErrors, errors, rtol=5e-7)
    np.testing.assert_allclose(summary.nullDeviance, 0.536072, atol=5e-7)
    np.testing.assert_allclose(summary.deviance, 0.087388516417, atol=5e-12)
    np.testing.assert_allclose(summary.dispersion, 0.003584283, atol=5e-10)
    np.testing.assert_allclose(summary.aic, 182.947045954721, rtol=1e-10)
    assert (summary.degreesOfFreedom, summary.residualDegreeOfFreedomNull) == (24, 31)
