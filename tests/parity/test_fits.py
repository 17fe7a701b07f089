"""sparkgd and MLlib fit the same model to the same rows; where not, sparkgd's objective is the lower one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd import classification, regression
from tests.parity.cases import CASES, Case, grid_frame

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

RTOL = 1e-4
"""Of coefficients, relative to the largest, and of predictions."""

BETTER = 1e-8
"""By how much of its value MLlib's objective may be lower than sparkgd's: rounding."""


@pytest.fixture(scope="module")
def df(spark: SparkSession) -> Iterator[DataFrame]:
    data = grid_frame(spark).cache()
    data.count()
    yield data
    data.unpersist()


def fitted(df, case: Case, modules):
    kind = next(getattr(module, case.estimator) for module in modules if hasattr(module, case.estimator))
    exact = {"tol": 1e-9, "maxIter": 200}
    if kind is mllib_classification.LinearSVC:
        # After 200 iterations, each of many jobs, it is above the optimum too.
        exact["maxIter"] = 20
    return kind(featuresCol=case.storage, labelCol=case.label, **exact, **case.params).fit(df)


def coefficients(model) -> np.ndarray:
    """All coefficients, one row an output, and intercepts."""
    if hasattr(model, "coefficientMatrix"):
        return np.column_stack([model.coefficientMatrix.toArray(), model.interceptVector.toArray()])
    return np.append(model.coefficients.toArray(), model.intercept)[None, :]


def compared(case: Case, ours, theirs) -> tuple[float, float]:
    """What is minimised, of both models: the deviance, or the objective where MLlib's summary has it."""
    if case.estimator == "GeneralizedLinearRegression" and not case.params.get("regParam"):
        return ours.summary.deviance, theirs.summary.deviance
    assert case.estimator in ("LogisticRegression", "LinearSVC"), f"{coefficients(ours)}\n{coefficients(theirs)}"
    summary = theirs.summary
    summary = summary() if callable(summary) else summary
    return ours.summary.objective, float(summary.objectiveHistory[-1])


def predictions(df, ours, theirs) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of both, by one job."""
    scored = ours.transform(df).select("dense", "sparse", "varying", "offset", F.col("prediction").alias("own"))
    if ours.hasParam("probabilityCol"):
        scored = ours.transform(df).select("dense", "sparse", "varying", "offset", F.col("probability").alias("own"))
    column = "probability" if ours.hasParam("probabilityCol") else "prediction"
    pairs = theirs.transform(scored).select("own", column).toPandas()
    return tuple(np.array([np.asarray(value) for value in pairs[name]]) for name in ("own", column))


def test_there_are_enough_cases():
    assert len(CASES) >= 300
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_model_or_a_lower_objective(df: DataFrame, case: Case) -> None:
    ours = fitted(df, case, [classification, regression])
    theirs = fitted(df, case, [mllib_classification, mllib_regression])
    left, right = coefficients(ours), coefficients(theirs)
    assert left.shape == right.shape
    scale = np.abs(right).max()
    if np.allclose(left, right, rtol=RTOL, atol=RTOL * scale):
        own, other = predictions(df, ours, theirs)
        np.testing.assert_allclose(own, other, rtol=10 * RTOL, atol=10 * RTOL * np.abs(other).max())
        return
    lower, higher = compared(case, ours, theirs)
    assert lower <= higher * (1.0 + BETTER), f"{lower} > {higher}\n{left}\n{right}"
