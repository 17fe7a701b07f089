"""A classifier with any loss."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, GradientDescentClassifierModel, LogisticRegression
from sparkgd.exceptions import IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.losses import LOSSES, LossSettings
from tests.losses.own import Exponential, LogCosh
from tests.support.frames import frame
from tests.support.objectives import PenalisedLoss, assert_same_model, coefficients_of

RNG = np.random.default_rng(16)
ROWS = 120
X = RNG.normal(size=(ROWS, 3)) * [1.0, 10.0, 0.1] + [0.0, 3.0, 0.0]
MARGINS = X @ np.array([[1.0, -1.0, 0.0], [0.1, 0.0, -0.1], [5.0, 0.0, 0.0]]) + RNG.gumbel(size=(ROWS, 3))
Y3 = MARGINS.argmax(axis=1).astype(float)
Y = (Y3 > 0).astype(float)
NAMES = [name for name, entry in LOSSES.items() if entry.for_classes]


@pytest.fixture(scope="module")
def df(spark):
    cached = frame(spark, X, Y, 1, three=Y3, offset=RNG.normal(size=ROWS)).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_by_name_fits_predicts_saves_and_loads(df, tmp_path, name):
    label, labels, classes = ("three", Y3, 3) if name == "multinomial" else ("label", Y, 2)
    estimator = GradientDescentClassifier(loss=name, regParam=0.01, labelCol=label)
    estimator.save(str(tmp_path / "estimator"))
    model = GradientDescentClassifier.load(str(tmp_path / "estimator")).fit(df)
    assert model.summary.status == "converged"
    assert (model.numClasses, model.numFeatures) == (classes, 3)
    objective = PenalisedLoss(LOSSES[name].build(LossSettings(num_classes=classes)), X, labels, np.ones(ROWS), 0.01)
    best = objective.of(model)
    assert model.summary.objective == pytest.approx(best, rel=1e-5)
    weights, intercepts = coefficients_of(model)
    for _ in range(20):
        step = 0.05 * RNG.normal(size=weights.shape)
        assert objective.at(weights + step, intercepts + step[:, 0]) >= best * (1 - 1e-5)
    model.save(str(tmp_path / "model"))
    loaded = GradientDescentClassifierModel.load(str(tmp_path / "model"))
    rows = model.transform(df).collect()
    assert loaded.transform(df).collect() == rows
    assert np.mean([row.prediction == row[label] for row in rows]) > 0.5
    for row in rows[:20]:
        np.testing.assert_allclose(loaded.predictRaw(row.features), row.rawPrediction, rtol=1e-10)
        assert loaded.predict(row.features) == row.prediction


@pytest.mark.parametrize(("name", "label"), [("logistic", "label"), ("multinomial", "three")])
def test_logistic_losses_give_the_logistic_regression(df, name, label):
    params = {"regParam": 0.05, "labelCol": label, "tol": 1e-10}
    model = GradientDescentClassifier(loss=name, **params).fit(df)
    assert_same_model(model, LogisticRegression(**params).fit(df), 1e-6)
    assert "probability" not in model.transform(df).columns


@pytest.mark.smoke
def test_threshold_is_on_the_margin_offset_included(df):
    model = GradientDescentClassifier(loss="hinge", regParam=0.1, offsetCol="offset", threshold=-1.5).fit(df)
    for row in model.transform(df).collect():
        margin = row.features @ model.coefficients.toArray() + model.intercept + row.offset
        np.testing.assert_allclose(row.rawPrediction, [-margin, margin], rtol=1e-10)
        assert row.prediction == float(margin > -1.5)


def test_class_weights_go_with_any_loss(df):
    product = df.withColumn("factor", F.when(F.col("label") == 1, 3.0).otherwise(1.0))
    estimator = GradientDescentClassifier(loss="squaredHinge", regParam=0.1, tol=1e-10)
    expected = estimator.copy().setWeightCol("factor").fit(product)
    assert_same_model(estimator.setClassWeight({1: 3.0}).fit(df), expected, 1e-7)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_a_loss_of_ones_own(df, execution):
    model = GradientDescentClassifier(loss=Exponential(), regParam=0.1, execution=execution, tol=1e-10).fit(df)
    assert model.summary.status == "converged"
    sign = 2 * Y - 1
    raw = X @ model.coefficients.toArray() + model.intercept
    assert np.sum(sign * np.exp(-sign * raw)) == pytest.approx(0.0, abs=1e-3)


def test_labels_must_be_classes_whatever_the_loss_takes(df):
    with pytest.raises(InvalidDataError, match="labels from 0 to 2; the LogCosh loss needs integers from 0 to 1"):
        GradientDescentClassifier(loss=LogCosh(), labelCol="three").fit(df)
    with pytest.raises(InvalidDataError, match="labels from -1 to 1"):
        GradientDescentClassifier(loss=LogCosh()).fit(df.withColumn("label", 2 * F.col("label") - 1))


def test_what_cannot_be_used_is_refused(df):
    with pytest.raises(InvalidParamError, match="loss='squared' is not allowed; give one of logistic"):
        GradientDescentClassifier(loss="squared").fit(df)
    with pytest.raises(InvalidParamError, match="threshold=nan"):
        GradientDescentClassifier(threshold=float("nan")).fit(df)
    with pytest.raises(IncompatibleError, match="offsetCol cannot be used with the multinomial loss"):
        GradientDescentClassifier(loss="multinomial", labelCol="three", offsetCol="offset").fit(df)
    with pytest.raises(TypeError, match="has no param 'quantile'"):
        GradientDescentClassifier(quantile=0.5)
