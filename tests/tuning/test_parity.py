"""Searches find what ``pyspark.ml.tuning`` finds with the same folds, over our estimators and over MLlib's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)

from sparkgd import classification, regression
from tests.support.datasets import load
from tests.support.frames import sparse_frame
from tests.support.leftovers import nothing_left
from tests.support.tuning import best_of, cross_validator, grid_of, split_validator


@dataclass
class Case:
    """A grid over an estimator that MLlib has too."""

    name: str
    evaluator: Callable[[], Evaluator]
    grid: dict[str, list[Any]]
    params: dict[str, Any] = field(default_factory=dict)
    close: float = 1e-6
    tol: float = 1e-10

    def ours(self) -> Any:
        module = classification if hasattr(classification, self.name) else regression
        return getattr(module, self.name)(tol=self.tol, **self.params)

    def mllib(self) -> Any:
        module = mllib_classification if hasattr(mllib_classification, self.name) else mllib_regression
        return getattr(module, self.name)(maxIter=25, **self.params)  # each of them a job or more


# Made when they are asked for: evaluators need a JVM.
ROC = BinaryClassificationEvaluator
LOG_LOSS = partial(MulticlassClassificationEvaluator, labelCol="class", metricName="logLoss")
RMSE = partial(RegressionEvaluator, labelCol="number")
STRENGTHS = [0.003, 1.0]

CASES = {
    "logistic": Case("LogisticRegression", ROC, {"regParam": STRENGTHS}),
    "logistic, L1": Case("LogisticRegression", ROC, {"regParam": [0.01, 0.1]}, {"elasticNetParam": 1.0}),
    "multinomial": Case("LogisticRegression", LOG_LOSS, {"regParam": STRENGTHS}, {"labelCol": "class"}),
    "linear": Case(
        "LinearRegression", RMSE, {"regParam": [0.0, 0.5], "elasticNetParam": [0.0, 0.5]}, {"labelCol": "number"}
    ),
    # The areas do not depend on the intercept, of which several are optimal.
    "support vectors": Case("LinearSVC", ROC, {"regParam": [0.03, 1.0]}, tol=1e-6, close=1e-3),
    "poisson": Case(
        "GeneralizedLinearRegression", partial(RegressionEvaluator, labelCol="count", metricName="mae"),
        {"regParam": [0.01, 1.0]}, {"labelCol": "count", "family": "poisson"},
    ),
}  # fmt: skip


@pytest.fixture
def no_scoring(monkeypatch):
    """Fails the test where the packed rows are not what metrics come from."""

    def refuse(*_):
        raise AssertionError("the metric was to come from the packed rows")

    monkeypatch.setattr("sparkgd.tuning.validators._judged", refuse)


def weights_of(model) -> np.ndarray:
    name = "coefficientMatrix" if getattr(model, "numClasses", 2) > 2 else "coefficients"
    return np.ravel(getattr(model, name).toArray())


@pytest.mark.usefixtures("no_scoring")
@pytest.mark.parametrize("name", CASES)
def test_the_search_is_that_of_pyspark_over_our_estimator_and_over_mllibs(spark, rows, name):
    case = CASES[name]
    estimator, genuine, evaluator = case.ours(), case.mllib(), case.evaluator()
    maps = grid_of(estimator, **case.grid)
    with nothing_left(spark):
        found = cross_validator(estimator, maps, evaluator).fit(rows)
    ours = cross_validator(estimator, maps, evaluator, is_stock=True).fit(rows)
    theirs = cross_validator(genuine, grid_of(genuine, **case.grid), evaluator, is_stock=True).fit(rows)
    for other, close in ((ours, case.close), (theirs, max(1e-3, case.close))):
        np.testing.assert_allclose(found.avgMetrics, other.avgMetrics, rtol=close, atol=close)
        np.testing.assert_allclose(found.stdMetrics, other.stdMetrics, rtol=close, atol=close)
        best = best_of(found.avgMetrics, evaluator)
        assert best == best_of(other.avgMetrics, evaluator)
        for param, value in maps[best].items():
            assert found.bestModel.getOrDefault(param.name) == other.bestModel.getOrDefault(param.name) == value
    np.testing.assert_allclose(weights_of(found.bestModel), weights_of(ours.bestModel), rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("no_scoring")
def test_a_split_is_that_of_pyspark(spark, rows):
    case = CASES["logistic"]
    estimator, evaluator = case.ours(), case.evaluator()
    maps = grid_of(estimator, **case.grid)
    with nothing_left(spark):
        found = split_validator(estimator, maps, evaluator, trainRatio=0.6).fit(rows)
    other = split_validator(estimator, maps, evaluator, is_stock=True, trainRatio=0.6).fit(rows)
    np.testing.assert_allclose(found.validationMetrics, other.validationMetrics, rtol=1e-6)
    assert found.bestModel.getRegParam() == other.bestModel.getRegParam()
    np.testing.assert_allclose(weights_of(found.bestModel), weights_of(other.bestModel), rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("no_scoring")
def test_given_folds_are_those_of_pyspark(rows):
    case = CASES["linear"]
    estimator, evaluator = case.ours(), case.evaluator()
    maps = grid_of(estimator, **case.grid)
    found, other, random = (
        cross_validator(estimator, maps, evaluator, is_stock, foldCol=column).fit(rows)
        for column, is_stock in (("fold", False), ("fold", True), ("", False))
    )
    np.testing.assert_allclose(found.avgMetrics, other.avgMetrics, rtol=1e-6)
    assert np.all(np.abs(np.subtract(found.avgMetrics, random.avgMetrics)) > 1e-6)


CLASSES = partial(MulticlassClassificationEvaluator, metricName="f1")
EVALUATORS = {
    "areaUnderPR": (ROC, {"metricName": "areaUnderPR"}),
    "areaUnderROC of weighted rows": (ROC, {"weightCol": "weight"}),
    "f1": (CLASSES, {}),
    "weighted accuracy": (CLASSES, {"metricName": "accuracy", "weightCol": "weight"}),
    "logLoss": (CLASSES, {"metricName": "logLoss"}),
}


@pytest.mark.usefixtures("no_scoring")
@pytest.mark.parametrize("name", EVALUATORS)
def test_every_evaluator_of_classes_has_the_metric_of_pyspark_for_weighted_rows(rows, name):
    make, params = EVALUATORS[name]
    assert_same_metrics(rows, classification.LogisticRegression(tol=1e-10, weightCol="weight"), make(**params))


@pytest.mark.usefixtures("no_scoring")
@pytest.mark.parametrize("name", ["rmse", "mse", "r2", "mae"])
def test_every_evaluator_of_numbers_has_the_metric_of_pyspark(rows, name):
    estimator = regression.LinearRegression(tol=1e-10, labelCol="number", offsetCol="offset")
    assert_same_metrics(rows, estimator, RMSE(metricName=name))


def assert_same_metrics(df, estimator, evaluator: Evaluator) -> None:
    """Of one map in two folds; the standard deviation tells both."""
    found, other = (cross_validator(estimator, [{}], evaluator, is_stock).fit(df) for is_stock in (False, True))
    np.testing.assert_allclose(found.avgMetrics, other.avgMetrics, rtol=1e-6)
    np.testing.assert_allclose(found.stdMetrics, other.stdMetrics, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "count", "estimator", "other", "evaluator"),
    [
        (
            "a9a", 1000, classification.LogisticRegression(tol=1e-8),
            partial(mllib_classification.LogisticRegression, tol=1e-8), ROC,
        ),
        (
            "abalone", 1000, regression.LinearRegression(tol=1e-8),
            partial(mllib_regression.LinearRegression, tol=1e-8), RegressionEvaluator,
        ),
    ],
    ids=["a9a", "abalone"],
)  # fmt: skip
def test_real_data_have_the_metrics_of_mllib(spark, name, count, estimator, other, evaluator):
    features, label = load(name)
    label = (label > 0).astype(float) if name == "a9a" else label
    df = sparse_frame(spark, features[:count], label[:count]).cache()
    theirs = other()
    grid = {"regParam": [0.01, 1.0]}
    found = cross_validator(estimator, grid_of(estimator, **grid), evaluator()).fit(df)
    expected = cross_validator(theirs, grid_of(theirs, **grid), evaluator(), is_stock=True).fit(df)
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-3)
    assert found.bestModel.getRegParam() == expected.bestModel.getRegParam()
    df.unpersist()
