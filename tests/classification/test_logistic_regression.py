"""Logistic regression of two classes against ``pyspark.ml``: objectives, outputs, thresholds, bounds."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.classification import LogisticRegression as MLlibLogisticRegression
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.exceptions import IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.losses import LogisticLoss
from tests.support.frames import frame
from tests.support.objectives import PenalisedLoss, assert_same_model

RNG = np.random.default_rng(11)
ROWS = 90
X = RNG.normal(size=(ROWS, 4)) * [1.0, 20.0, 0.3, 1.0] + [0.0, 5.0, 0.0, 1.0]
Y = (X[:, 0] - 0.05 * X[:, 1] + RNG.logistic(size=ROWS) > 0).astype(float)
WEIGHT = RNG.choice([0.0, 0.5, 1.0, 3.0], ROWS)
TIGHT = {"tol": 1e-10, "maxIter": 300}


@pytest.fixture(scope="module")
def df(spark):
    offset = RNG.normal(size=ROWS)
    cached = frame(spark, X, Y, 1, weight=WEIGHT, offset=offset, nothing=np.zeros(ROWS)).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize(
    "params",
    [
        {"regParam": 0.0},
        {"regParam": 0.1, "fitIntercept": False},
        {"regParam": 0.05, "elasticNetParam": 0.5, "standardization": False},
        pytest.param({"regParam": 0.05, "elasticNetParam": 1.0, "weightCol": "weight"}, marks=pytest.mark.smoke),
    ],
    ids=str,
)
def test_objective_is_mllibs_and_no_higher(df, params):
    found, expected = (
        LogisticRegression(tol=1e-10, **params).fit(df),
        MLlibLogisticRegression(**TIGHT, **params).fit(df),
    )
    objective = PenalisedLoss(
        LogisticLoss(), X, Y, WEIGHT if "weightCol" in params else np.ones(ROWS), params["regParam"],
        params.get("elasticNetParam", 0.0), params.get("standardization", True),
    )  # fmt: skip
    assert objective.of(found) <= objective.of(expected) * (1 + 1e-10)
    assert found.summary.objective == pytest.approx(objective.of(found), rel=1e-10)
    assert_same_model(found, expected, 1e-4)
    assert found.summary.status == "converged"


def test_outputs_are_mllibs(df):
    estimator = LogisticRegression(regParam=0.1, threshold=0.4)
    model = estimator.fit(df)
    mllib = MLlibLogisticRegression(regParam=0.1, threshold=0.4, **TIGHT).fit(df)
    columns = ("rawPrediction", "probability", "prediction")
    for mine, theirs in zip(model.transform(df).collect(), mllib.transform(df).collect(), strict=True):
        for name in columns:
            np.testing.assert_allclose(_array(mine[name]), _array(theirs[name]), rtol=1e-4, atol=1e-6)
    row = model.transform(df).first()
    np.testing.assert_allclose(model.predictRaw(row.features), row.rawPrediction, rtol=1e-12)
    np.testing.assert_allclose(model.predictProbability(row.features), row.probability, rtol=1e-12)
    assert model.predict(row.features) == row.prediction
    assert (model.numClasses, model.numFeatures) == (2, 4)


@pytest.mark.parametrize("thresholds", [[0.2, 0.8], [3.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
def test_thresholds_mean_mllibs_threshold_with_and_without_offset(df, thresholds):
    model = LogisticRegression(regParam=0.1).fit(df).setThresholds(thresholds)
    mllib = MLlibLogisticRegression(regParam=0.1, **TIGHT).fit(df).setThresholds(thresholds)
    expected = [row.prediction for row in mllib.transform(df).collect()]
    assert [row.prediction for row in model.transform(df).collect()] == expected
    assert [model.predict(row.features) for row in df.collect()] == expected
    offset = model.copy().setOffsetCol("nothing")
    assert [row.prediction for row in offset.transform(df).collect()] == expected
    assert model.getThreshold() == (mllib.getThreshold() if thresholds[1] else 0.0)


def test_threshold_and_thresholds_replace_each_other():
    estimator = LogisticRegression(thresholds=[0.3, 0.7])
    assert estimator.getThreshold() == pytest.approx(0.7)
    assert not estimator.setThreshold(0.2).isSet("thresholds")
    assert estimator.getThresholds() == [0.8, 0.2]
    assert not estimator.setThresholds([1.0, 1.0]).isSet("threshold")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"thresholds": [0.2, 0.3, 0.5]}, "thresholds has 3 entries, but there are 2 classes"),
        ({"thresholds": [-0.2, 1.2]}, "of which at most one is 0"),
        ({"thresholds": [0.0, 0.0]}, "of which at most one is 0"),
        ({"thresholds": [0.2, 0.8], "threshold": 0.3}, "contradict"),
        ({"threshold": 1.5}, "threshold=1.5"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(df, params, message):
    with pytest.raises(InvalidParamError, match=message):
        LogisticRegression(**params).fit(df)


def test_offset_moves_every_raw_prediction(df):
    model = LogisticRegression(regParam=0.1, offsetCol="offset", threshold=0.7).fit(df)
    for row in model.transform(df).collect():
        raw = row.features @ model.coefficients.toArray() + model.intercept + row.offset
        np.testing.assert_allclose(row.rawPrediction, [-raw, raw], rtol=1e-10)
        np.testing.assert_allclose(row.probability[1], 1 / (1 + np.exp(-raw)), rtol=1e-10)
        assert row.prediction == float(row.probability[1] > 0.7)
    # The same data with the offset as a column of coefficient 1: no other coefficients are better.
    gradient = _residual(model, df) @ np.column_stack([X, np.ones(ROWS)]) / ROWS
    ridge = 0.1 * X.std(axis=0, ddof=1) ** 2 * model.coefficients.toArray()
    np.testing.assert_allclose(gradient, -np.append(ridge, 0.0), atol=1e-4)


def _residual(model, df):
    return np.array([row.probability[1] - row.label for row in model.transform(df).collect()])


def _array(value):
    return value if isinstance(value, float) else value.toArray()


def test_bounds_are_mllibs(df):
    low, high = [[0.0, 0.0, -np.inf, -0.1]], [[0.5, np.inf, 0.2, 0.1]]
    intercepts = {"lowerBoundsOnIntercepts": Vectors.dense(0.3), "upperBoundsOnIntercepts": Vectors.dense(0.4)}
    for bounds in ({}, intercepts):
        params = {
            "regParam": 0.01,
            "lowerBoundsOnCoefficients": DenseMatrix(1, 4, low[0]),
            "upperBoundsOnCoefficients": DenseMatrix(1, 4, high[0]),
            **bounds,
        }
        found, expected = LogisticRegression(**params).fit(df), MLlibLogisticRegression(**TIGHT, **params).fit(df)
        assert_same_model(found, expected, 1e-3)
        weights = found.coefficients.toArray()
        assert np.all((weights >= low[0]) & (weights <= high[0]))
        objective = PenalisedLoss(LogisticLoss(), X, Y, np.ones(ROWS), 0.01)
        assert objective.of(found) <= objective.of(expected) + 1e-9
    assert 0.3 <= found.intercept <= 0.4


def test_bounds_together_with_l1(df):
    model = LogisticRegression(regParam=0.01, elasticNetParam=1.0, lowerBoundsOnCoefficients=[0.0] * 4).fit(df)
    weights = model.coefficients.toArray()
    assert np.all(weights >= 0.0)
    assert model.summary.status == "converged"
    slope = _residual(model, df) @ X / ROWS + 0.01 * X.std(axis=0, ddof=1)
    np.testing.assert_allclose(slope[weights > 0.0], 0.0, atol=1e-5)
    assert np.all(slope[weights == 0.0] >= -1e-5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lowerBoundsOnCoefficients": [0.0] * 3}, r"shape \(1, 3\), but the data need \(1, 4\)"),
        ({"upperBoundsOnIntercepts": [0.0, 1.0]}, r"shape \(2,\), but the data need \(1,\)"),
        ({"lowerBoundsOnCoefficients": [np.nan] * 4}, "NaN"),
        ({"lowerBoundsOnIntercepts": 1.0, "upperBoundsOnIntercepts": 0.0}, "exceeds"),
        ({"penaltyWeights": [1.0]}, "penaltyWeights has 1 entries, but there are 4 features"),
        ({"penaltyWeights": [1.0, -1.0, 1.0, 1.0]}, "negative"),
        ({"initialIntercept": [0.0, 1.0]}, "initialIntercept has 2 values"),
        ({"family": "poisson"}, "family='poisson'"),
    ],
)
def test_params_that_do_not_fit_are_refused(df, params, message):
    with pytest.raises(InvalidParamError, match=message):
        LogisticRegression(**params).fit(df)


def test_penalty_weights_of_zero_drop_the_penalty(df):
    free = LogisticRegression(regParam=0.3, penaltyWeights=[0.0] * 4, tol=1e-10).fit(df)
    assert_same_model(free, LogisticRegression(tol=1e-10).fit(df), 1e-5)
    one = LogisticRegression(regParam=0.3, elasticNetParam=1.0, penaltyWeights=[0.0, 1.0, 1.0, 1.0]).fit(df)
    np.testing.assert_array_equal(one.coefficients.toArray() != 0.0, [True, False, False, False])


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_class_weights_are_weights_multiplied(df, execution):
    estimator = LogisticRegression(regParam=0.1, weightCol="weight", execution=execution, tol=1e-10)
    balance = WEIGHT.sum() / (2 * np.array([WEIGHT[Y == 0].sum(), WEIGHT[Y == 1].sum()]))
    for given, factors in (({0: 3.0}, (3.0, 1.0)), ("balanced", balance)):
        factor = F.when(F.col("label") == 0, float(factors[0])).otherwise(float(factors[1]))
        product = df.withColumn("weight", F.col("weight") * factor)
        assert_same_model(estimator.copy().setClassWeight(given).fit(df), estimator.fit(product), 1e-7)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({0: 0.0, 1: 0.0}, InvalidDataError, "every weight by classWeight is zero"),
        ({2: 1.0}, InvalidDataError, "names the label 2, which the data do not have"),
        ({0: -1.0}, InvalidParamError, "must be finite and >= 0"),
        ({0.5: 1.0}, InvalidParamError, "not a class"),
        ("equal", TypeError, "must be 'balanced' or a map"),
    ],
)
def test_class_weights_that_make_no_sense_are_refused(df, given, error, message):
    with pytest.raises(error, match=message):
        LogisticRegression(classWeight=given).fit(df)


def test_validation_rows_may_have_labels_that_training_rows_lack(df):
    marked = df.withColumn("held", F.col("label") == 1).withColumn(
        "label", F.when(F.col("label") == 1, 2.0).otherwise((F.monotonically_increasing_id() % 2).cast("double"))
    )
    params = {"validationIndicatorCol": "held", "regParam": 0.1, "classWeight": "balanced"}
    model = LogisticRegression(**params).fit(marked)
    assert model.numClasses == 3
    assert len(model.summary.validationHistory) == len(model.summary.objectiveHistory)
    with pytest.raises(InvalidDataError, match="labels from 0 to 2; the logistic loss needs"):
        LogisticRegression(family="binomial", **params).fit(marked)


def test_estimator_and_model_are_saved_with_all_they_need(df, tmp_path):
    estimator = LogisticRegression(
        regParam=0.01, lowerBoundsOnCoefficients=[0.0] * 4, classWeight={1: 2.0}, thresholds=[0.3, 0.7],
        penaltyWeights=[0.0, 1.0, 1.0, 1.0], initialCoefficients=[0.1] * 4,
    )  # fmt: skip
    estimator.save(str(tmp_path / "estimator"))
    loaded = LogisticRegression.load(str(tmp_path / "estimator"))
    assert {p.name: v for p, v in loaded.extractParamMap().items()} == {
        p.name: v for p, v in estimator.extractParamMap().items()
    }
    model = loaded.fit(df)
    model.save(str(tmp_path / "model"))
    again = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert again.coefficientMatrix == model.coefficientMatrix
    assert again.getThresholds() == [0.3, 0.7]
    assert again.transform(df).collect() == model.transform(df).collect()
    assert again.summary.status == model.summary.status


def test_multinomial_params_do_not_go_with_an_offset(df):
    with pytest.raises(IncompatibleError, match="offsetCol"):
        LogisticRegression(family="multinomial", offsetCol="offset").fit(df)
