"""A constant label ends no run: the models of MLlib, with a warning that says what happened."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from pyspark.ml import classification as mllib
from pyspark.ml import regression as mllib_regression
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression, LogisticRegressionModel
from sparkgd.exceptions import ConstantLabelWarning
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from tests.support.leftovers import nothing_left

inf = float("inf")
ROW = Vectors.dense([1.0, 2.0])


@pytest.fixture(scope="module")
def df(spark):
    values = np.random.default_rng(0).normal(size=(40, 2))
    rows = [(Vectors.dense(row), float(i % 2), 2.5, float(i % 5 == 0)) for i, row in enumerate(values)]
    frame = spark.createDataFrame(rows, ["features", "label", "amount", "offset"]).coalesce(2).cache()
    frame.count()
    return frame


def fitted(estimator, df, message="holds only the label"):
    with pytest.warns(ConstantLabelWarning, match=message):
        return estimator.fit(df)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
@pytest.mark.parametrize(("label", "intercept"), [(0.0, -inf), (1.0, inf)])
def test_logistic_regression_is_mllibs(spark, df, label, intercept, execution):
    one = df.where(F.col("label") == label)
    with nothing_left(spark):
        model = fitted(LogisticRegression(regParam=0.1, execution=execution), one, f"intercept {intercept:g}. Check")
    theirs = mllib.LogisticRegression(regParam=0.1).fit(one)
    assert model.intercept == theirs.intercept == intercept
    np.testing.assert_array_equal(model.coefficients, theirs.coefficients)
    assert model.summary.objectiveHistory == list(theirs.summary.objectiveHistory) == [0.0]
    assert (model.summary.status, model.summary.totalIterations, model.summary.totalRounds) == ("converged", 0, 0)
    assert "the label is constant" in repr(model.summary)
    columns = ("rawPrediction", "probability", "prediction")
    ours, known = (m.transform(df).select(*columns).collect() for m in (model, theirs))
    assert ours == known
    assert {row.prediction for row in ours} == {label}
    assert model.predictProbability(ROW)[int(label)] == 1.0


def test_many_classes_of_which_one_is_there(df, tmp_path):
    one = df.withColumn("label", F.lit(2.0))
    model, theirs = fitted(LogisticRegression(), one), mllib.LogisticRegression().fit(one)
    np.testing.assert_array_equal(model.interceptVector, theirs.interceptVector)
    np.testing.assert_array_equal(model.coefficientMatrix.toArray(), theirs.coefficientMatrix.toArray())
    assert model.transform(one).first().probability == Vectors.dense([0.0, 0.0, 1.0])
    assert model.predictProbability(ROW) == Vectors.dense([0.0, 0.0, 1.0])
    model.write().save(str(tmp_path / "model"))
    np.testing.assert_array_equal(LogisticRegressionModel.load(str(tmp_path / "model")).interceptVector, [0, 0, inf])


def test_an_offset_does_not_change_certainty(df):
    model = fitted(LogisticRegression(offsetCol="offset"), df.where("label = 0"))
    assert {tuple(row.probability) for row in model.transform(df).collect()} == {(1.0, 0.0)}


def test_a_class_that_weighs_nothing_is_not_there(df):
    assert fitted(LogisticRegression(classWeight={0: 0.0}), df, "only the label 1").intercept == inf
    assert fitted(GradientDescentClassifier(classWeight={1: 0.0}), df, "only the label 0").intercept == -inf


@pytest.mark.parametrize("loss", ["squaredError", "huber"])
@pytest.mark.parametrize("solver", ["auto", "l-bfgs"])
def test_linear_regression_is_mllibs(df, loss, solver):
    params = {"labelCol": "amount", "loss": loss, "solver": solver}
    model = fitted(LinearRegression(regParam=0.1, **params), df, "coefficients 0, intercept 2.5")
    theirs = mllib_regression.LinearRegression(regParam=0.1, **params).fit(df)
    assert (model.intercept, model.scale) == (theirs.intercept, theirs.scale) == (2.5, 1.0)
    np.testing.assert_array_equal(model.coefficients, theirs.coefficients)
    zero = df.withColumn("amount", F.lit(0.0))
    model = fitted(LinearRegression(regParam=0.1, fitIntercept=False, **params), zero)
    assert not model.coefficients.toArray().any()


def test_what_features_have_a_say_in_is_fitted_as_usual(df):
    one, message = df.where("label = 1"), "fitted as usual, but learns from one label only"
    for params in ({"fitIntercept": False}, {"upperBoundsOnIntercepts": Vectors.dense([2.0])}):
        ours = fitted(LogisticRegression(regParam=0.1, tol=1e-9, **params), one, message)
        theirs = mllib.LogisticRegression(regParam=0.1, tol=1e-9, **params).fit(one)
        np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-4, atol=1e-5)
    ours = fitted(LinearRegression(labelCol="amount", fitIntercept=False), df, message)
    theirs = mllib_regression.LinearRegression(labelCol="amount", fitIntercept=False).fit(df)
    np.testing.assert_allclose(ours.coefficients, theirs.coefficients, rtol=1e-8)


def test_other_estimators_say_the_label(df):
    svc = fitted(LinearSVC(regParam=0.1), df.where("label = 0"))
    assert (svc.predict(ROW), svc.summary.status) == (0.0, "converged")
    glm = fitted(GeneralizedLinearRegression(family="poisson", labelCol="amount", regParam=0.1), df)
    assert glm.intercept == pytest.approx(np.log(2.5))
    binomial = fitted(GeneralizedLinearRegression(family="binomial", regParam=0.1), df.where("label = 1"))
    assert binomial.intercept == inf
    assert binomial.predict(ROW) == 1.0


def test_a_constant_label_among_validation_rows_alone_is_none(df):
    estimator = LogisticRegression(validationIndicatorCol="held", regParam=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(df.withColumn("held", (F.col("label") == 1.0) & (F.col("offset") == 1.0)))
    model = fitted(estimator, df.withColumn("held", F.col("label") == 1.0), "only the label 0 in the training rows")
    assert len(model.summary.validationHistory) == 1
