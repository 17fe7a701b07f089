"""Multinomial logistic regression against ``pyspark.ml``."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.classification import LogisticRegression as MLlibLogisticRegression
from pyspark.ml.feature import StringIndexer
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.exceptions import IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.losses import MultinomialLoss
from tests.support.frames import frame
from tests.support.objectives import PenalisedLoss, assert_same_model, coefficients_of

RNG = np.random.default_rng(12)
ROWS, CLASSES = 120, 3
X = RNG.normal(size=(ROWS, 3)) * [1.0, 30.0, 0.2] + [0.0, 10.0, 1.0]
MARGINS = X @ np.array([[1.0, -0.5, 0.0], [0.01, 0.02, -0.02], [0.0, 2.0, -2.0]]) + RNG.gumbel(size=(ROWS, CLASSES))
Y = MARGINS.argmax(axis=1).astype(float)
WEIGHT = RNG.choice([0.0, 1.0, 2.5], ROWS)
TIGHT = {"tol": 1e-10, "maxIter": 500}


@pytest.fixture(scope="module")
def df(spark):
    cached = frame(spark, X, Y, 1, weight=WEIGHT).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize(
    "params",
    [
        {"regParam": 0.0},
        {"regParam": 0.1, "fitIntercept": False, "standardization": False},
        {"regParam": 0.02, "elasticNetParam": 0.5, "weightCol": "weight"},
        {"regParam": 0.02, "elasticNetParam": 1.0, "standardization": False},
    ],
    ids=str,
)
def test_objective_is_mllibs_and_no_higher(df, params):
    found, expected = (
        LogisticRegression(tol=1e-10, **params).fit(df),
        MLlibLogisticRegression(**TIGHT, **params).fit(df),
    )
    objective = PenalisedLoss(
        MultinomialLoss(CLASSES), X, Y, WEIGHT if "weightCol" in params else np.ones(ROWS), params["regParam"],
        params.get("elasticNetParam", 0.0), params.get("standardization", True),
    )  # fmt: skip
    assert objective.of(found) <= objective.of(expected) * (1 + 1e-10)
    assert found.summary.objective == pytest.approx(objective.of(found), rel=1e-9)
    assert_same_model(found, expected, 1e-3)
    if found.getOrDefault("featuresCol") and params.get("fitIntercept", True):
        assert found.interceptVector.toArray().sum() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("thresholds", [None, [0.2, 0.5, 0.3], [0.0, 1.0, 1.0]])
def test_outputs_are_mllibs(df, thresholds):
    model = LogisticRegression(regParam=0.1, thresholds=thresholds, tol=1e-10).fit(df)
    mllib = MLlibLogisticRegression(regParam=0.1, **TIGHT).fit(df)
    if thresholds:
        mllib.setThresholds(thresholds)
    for mine, theirs in zip(model.transform(df).collect(), mllib.transform(df).collect(), strict=True):
        np.testing.assert_allclose(mine.rawPrediction, theirs.rawPrediction, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(mine.probability, theirs.probability, rtol=1e-3, atol=1e-5)
        assert mine.prediction == theirs.prediction == model.predict(mine.features)
        np.testing.assert_allclose(model.predictRaw(mine.features), mine.rawPrediction, rtol=1e-10)
        np.testing.assert_allclose(model.predictProbability(mine.features), mine.probability, rtol=1e-10)


@pytest.mark.smoke
def test_two_classes_as_multinomial(df):
    two = df.where("label < 2")
    params = {"regParam": 0.05, "family": "multinomial"}
    found, expected = (
        LogisticRegression(tol=1e-10, **params).fit(two),
        MLlibLogisticRegression(**TIGHT, **params).fit(two),
    )
    assert_same_model(found, expected, 1e-4)
    assert (found.numClasses, found.coefficientMatrix.numRows) == (2, 2)
    weights = found.coefficientMatrix.toArray()
    np.testing.assert_allclose(weights[0], -weights[1], rtol=1e-8)
    ours = [row.prediction for row in found.transform(two).collect()]
    assert ours == [row.prediction for row in expected.transform(two).collect()]
    assert ours == [found.predict(row.features) for row in two.collect()]


def test_a_class_without_rows(df):
    gap = df.where("label <> 1")
    found = LogisticRegression(regParam=0.05, tol=1e-10).fit(gap)
    expected = MLlibLogisticRegression(regParam=0.05, **TIGHT).fit(gap)
    assert found.numClasses == expected.numClasses == 3
    np.testing.assert_allclose(found.coefficientMatrix.toArray(), expected.coefficientMatrix.toArray(), atol=1e-4)
    for mine, theirs in zip(found.transform(gap).collect(), expected.transform(gap).collect(), strict=True):
        np.testing.assert_allclose(mine.probability, theirs.probability, atol=1e-4)


def test_the_labels_metadata_say_how_many_classes_there_are(df):
    named = df.withColumn("name", F.concat(F.lit("c"), F.col("label").cast("int"))).drop("label")
    indexed = StringIndexer(inputCol="name", outputCol="label").fit(named).transform(named)
    model = LogisticRegression(regParam=0.1).fit(indexed.where("label < 2"))
    assert model.numClasses == 3
    with pytest.raises(InvalidParamError, match="thresholds has 2 entries, but there are 3 classes"):
        LogisticRegression(thresholds=[0.5, 0.5]).fit(indexed.where("label < 2"))


def test_bounds_keep_coefficients_and_are_not_centred_away(df):
    low = np.zeros((CLASSES, 3))
    model = LogisticRegression(lowerBoundsOnCoefficients=low, lowerBoundsOnIntercepts=[0.5] * CLASSES).fit(df)
    weights, intercepts = coefficients_of(model)
    assert weights.min() >= 0.0
    assert intercepts.min() >= 0.5


def test_unpenalised_columns_are_centred_over_the_classes(df):
    model = LogisticRegression(regParam=0.1, penaltyWeights=[0.0, 1.0, 1.0], initialCoefficients=np.ones((3, 3))).fit(
        df
    )
    np.testing.assert_allclose(model.coefficientMatrix.toArray().sum(axis=0), 0.0, atol=1e-6)


def test_what_only_two_classes_have_is_refused(df):
    model = LogisticRegression(regParam=0.1).fit(df)
    with pytest.raises(IncompatibleError, match="use coefficientMatrix"):
        _ = model.coefficients
    with pytest.raises(IncompatibleError, match="use interceptVector"):
        _ = model.intercept
    with pytest.raises(InvalidDataError, match="labels from 0 to 2; the logistic loss needs integers from 0 to 1"):
        LogisticRegression(family="binomial").fit(df)
    with pytest.raises(InvalidDataError, match="classes are integers from 0 to"):
        LogisticRegression().fit(df.withColumn("label", F.col("label") * 1e6))


def test_model_is_saved_and_loaded(df, tmp_path):
    model = LogisticRegression(regParam=0.1, thresholds=[0.2, 0.5, 0.3]).fit(df)
    model.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert loaded.numClasses == 3
    assert loaded.transform(df).collect() == model.transform(df).collect()


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_class_weights_of_many_classes(df, execution):
    estimator = LogisticRegression(regParam=0.1, execution=execution, tol=1e-10)
    product = df.withColumn("factor", F.when(F.col("label") == 2, 4.0).otherwise(1.0))
    expected = estimator.copy().setWeightCol("factor").fit(product)
    assert_same_model(estimator.copy().setClassWeight({2: 4.0}).fit(df), expected, 1e-7)
