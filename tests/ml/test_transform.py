"""``transform`` gives what the genuine ``pyspark.ml`` model gives."""

from __future__ import annotations

import numpy as np
import pytest
from chispa import assert_df_equality
from pyspark.ml.classification import LogisticRegressionModel as MLlibLogistic
from pyspark.ml.regression import LinearRegressionModel as MLlibLinear
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.regression import LinearRegressionModel
from tests.support.frames import frame

RNG = np.random.default_rng(2)
X = RNG.normal(size=(100, 3)) * np.array([1.0, 30.0, 0.1])
Y = (X[:, 0] > 0).astype(float)
WEIGHTS, INTERCEPTS = np.array([[1.5, -0.2, 3.0]]), np.array([0.25])


@pytest.fixture(scope="module")
def df(spark):
    return frame(spark, X, Y, offset=RNG.normal(size=100))


def logistic() -> LogisticRegressionModel:
    return LogisticRegressionModel(WEIGHTS, INTERCEPTS)


def as_mllib(model, mllib_class, tmp_path):
    """A saved sparkgd model whose metadata name MLlib's class, which reads the rest as its own."""
    path = tmp_path / "model"
    model.save(str(path))
    part = next((path / "metadata").glob("part-*"))
    name = f"org.apache.spark.ml.{mllib_class.__module__.split('.')[-1]}.{mllib_class.__name__}"
    part.write_text(part.read_text().replace(f"{type(model).__module__}.{type(model).__name__}", name))
    for crc in (path / "metadata").glob(".*.crc"):
        crc.unlink()
    return mllib_class.load(str(path))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"threshold": 0.8},
        {"thresholds": [0.3, 0.7]},
        {"predictionCol": "guess", "probabilityCol": "p", "rawPredictionCol": "m"},
    ],
    ids=["defaults", "threshold", "thresholds", "columns"],
)
def test_logistic_regression_transforms_as_mllib(df, tmp_path, settings):
    reference = as_mllib(logistic(), MLlibLogistic, tmp_path)
    model = logistic()
    for name, value in settings.items():
        model.set(model.getParam(name), value)
        reference.set(reference.getParam(name), value)
    assert_df_equality(model.transform(df), reference.transform(df))


def test_linear_regression_transforms_as_mllib(df, tmp_path):
    model = LinearRegressionModel(WEIGHTS, INTERCEPTS)
    reference = as_mllib(model, MLlibLinear, tmp_path)
    assert_df_equality(model.transform(df), reference.transform(df))


def test_columns_left_out(df, tmp_path):
    model = logistic().setProbabilityCol("").setRawPredictionCol("")
    assert set(model.transform(df).columns) == {*df.columns, "prediction"}


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_an_offset_shifts_the_margin(df, threshold):
    model = logistic().setOffsetCol("offset").setThreshold(threshold)
    rows = model.transform(df).collect()
    margin = X @ WEIGHTS[0] + INTERCEPTS[0] + np.array([row.offset for row in rows])
    probability = 1.0 / (1.0 + np.exp(-margin))
    np.testing.assert_allclose([row.rawPrediction[1] for row in rows], margin, rtol=1e-12)
    np.testing.assert_allclose([row.rawPrediction[0] for row in rows], -margin, rtol=1e-12)
    np.testing.assert_allclose([row.probability[1] for row in rows], probability, rtol=1e-12, atol=1e-300)
    np.testing.assert_array_equal([row.prediction for row in rows], (probability > threshold).astype(float))


def test_an_offset_of_zero_changes_nothing(df):
    zero = df.withColumn("offset", F.lit(0.0))
    plain = logistic().transform(zero).collect()
    shifted = logistic().setOffsetCol("offset").transform(zero).collect()
    for mine, other in zip(shifted, plain, strict=True):
        np.testing.assert_allclose(mine.rawPrediction, other.rawPrediction, rtol=1e-12)
        np.testing.assert_allclose(mine.probability, other.probability, rtol=1e-12, atol=1e-15)
        assert mine.prediction == other.prediction


def test_thresholds_count_with_an_offset_too(df):
    model = logistic().setOffsetCol("offset").setThresholds([0.2, 0.8])
    plain = logistic().setThresholds([0.2, 0.8])
    zero = df.withColumn("offset", F.lit(0.0))
    predictions = [[row.prediction for row in m.transform(zero).collect()] for m in (model, plain)]
    assert predictions[0] == predictions[1]


def test_extreme_margins(spark):
    extreme = frame(spark, np.array([[1e4, 0.0, 0.0], [-1e4, 0.0, 0.0]]), np.array([0.0, 1.0]), offset=np.zeros(2))
    for model in (logistic(), logistic().setOffsetCol("offset")):
        rows = model.transform(extreme).collect()
        assert [row.prediction for row in rows] == [1.0, 0.0]
        assert np.isfinite([row.probability.toArray() for row in rows]).all()


def test_single_rows_are_predicted_as_the_frame(df):
    model = LogisticRegression(regParam=0.1).fit(df)
    row = model.transform(df).first()
    assert model.predict(row.features) == row.prediction
    np.testing.assert_allclose(model.predictRaw(row.features), row.rawPrediction, rtol=1e-12)
    np.testing.assert_allclose(model.predictProbability(row.features), row.probability, rtol=1e-12)
