"""Models over Spark Connect: scoring, metrics, saving, tuning."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import CrossValidator as StockCrossValidator
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql import functions as F

from sparkgd.classification import (
    GradientDescentClassifier,
    LinearSVC,
    LogisticRegression,
    LogisticRegressionModel,
    OneVsRest,
)
from sparkgd.exceptions import IncompatibleError
from sparkgd.ml.scoring import logistic_model
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression
from sparkgd.tuning import CrossValidator, TrainValidationSplit
from tests.connect.cases import COLUMNS, fitted, frame, told_of_pipeline

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("nothing_stays"),
              pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")]  # fmt: skip


def sigmoid(m):
    return 1.0 / (1.0 + np.exp(-m))


def softmax(m):
    e = np.exp(m - m.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


SCORED = {
    "logistic": (LogisticRegression(), lambda m: m[:, 0] > 0),
    "logistic with an offset": (LogisticRegression(offsetCol="offset"), lambda m: m[:, 0] > 0),
    "multinomial": (LogisticRegression(labelCol="count"), lambda m: m.argmax(axis=1)),
    "hinge": (LinearSVC(regParam=0.1), lambda m: m[:, 0] > 0),
    "modified huber": (GradientDescentClassifier(loss="modifiedHuber"), lambda m: m[:, 0] > 0),
    "classes": (GradientDescentClassifier(loss="multinomial", labelCol="count"), lambda m: m.argmax(axis=1)),
    "squared": (LinearRegression(labelCol="number"), lambda m: m[:, 0]),
    "quantile": (GradientDescentRegressor(labelCol="number", loss="quantile"), lambda m: m[:, 0]),
    "poisson": (GeneralizedLinearRegression(family="poisson", labelCol="count"), lambda m: np.exp(m[:, 0])),
    "probit": (
        GeneralizedLinearRegression(family="binomial", link="probit"),
        lambda m: np.array([__import__("scipy.stats").stats.norm.cdf(x) for x in m[:, 0]]),
    ),
}


@pytest.mark.parametrize("name", SCORED)
def test_a_model_scores_as_its_coefficients_say(df, name):
    estimator, expected = SCORED[name]
    model = estimator.copy().setParams(featuresCols=COLUMNS).fit(df)
    rows = model.transform(df).limit(200).toPandas()
    margins = rows[COLUMNS].to_numpy() @ model._weights.T + model._intercepts
    if "offset" in name:
        margins += rows[["offset"]].to_numpy()
    np.testing.assert_allclose(rows["prediction"].to_numpy(), expected(margins), rtol=1e-12)
    if "probability" in rows:
        found = np.array([vector.toArray() for vector in rows["probability"]])
        both = softmax(margins) if margins.shape[1] > 1 else np.column_stack([1 - sigmoid(margins), sigmoid(margins)])
        np.testing.assert_allclose(found, both, rtol=1e-10)


@pytest.mark.parametrize(("width", "classes"), [(5, 2), (1000, 2), (7, 3), (4, 12), (20_000, 2)])
def test_spark_makes_a_model_of_any_coefficients(spark, width, classes):
    """`logistic_model` raises where a bit differs."""
    from pyspark.ml.linalg import DenseMatrix, Vectors

    rng = np.random.default_rng(width)
    outputs = 1 if classes == 2 else classes
    weights = rng.normal(size=(outputs, width)) * 10.0 ** rng.integers(-300, 300, size=(outputs, width))
    weights[0, 0] = 0.0
    matrix = DenseMatrix(outputs, width, weights.ravel(), isTransposed=True)
    model = logistic_model(f"uid{width}", matrix, Vectors.dense(rng.normal(size=outputs)), classes, outputs > 1)
    assert model.uid == f"uid{width}"
    assert model.numClasses == classes


def test_metrics_are_those_of_the_rows(df):
    model = LogisticRegression(featuresCols=COLUMNS, weightCol="weight").fit(df)
    found = model.evaluate(df)
    rows = model.transform(df).toPandas()
    right = np.average(rows["prediction"] == rows["label"], weights=rows["weight"])
    assert found.accuracy == pytest.approx(right)
    assert model.summary.areaUnderROC == pytest.approx(found.areaUnderROC)
    assert found.roc.columns == ["FPR", "TPR"]


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (LinearSVC(regParam=0.1), "areaUnderROC"),
        (LinearRegression(labelCol="number"), "r2"),
        (GeneralizedLinearRegression(family="poisson", labelCol="count"), "aic"),
    ],
    ids=lambda each: each if isinstance(each, str) else type(each).__name__,
)
def test_every_model_has_metrics(df, estimator, name):
    """They equal MLlib's in tests/ml/test_metrics.py."""
    model = estimator.copy().setParams(featuresCols=COLUMNS, weightCol="weight").fit(df)
    assert getattr(model.evaluate(df), name) == pytest.approx(getattr(model.summary, name))


def test_standard_errors_are_there(df):
    table = LinearRegression(featuresCols=COLUMNS, labelCol="number").fit(df).coefficientTable
    assert list(table.index) == [*COLUMNS, "(Intercept)"]
    assert np.isfinite(table["std error"]).all()
    clustered = LinearRegression(featuresCols=COLUMNS, labelCol="number").fit(df).summary.inference("cluster", "group")
    assert np.isfinite(clustered.standardErrors).all()


def test_what_only_a_jvm_has_is_refused_with_the_reason(df):
    model = LinearSVC(featuresCols=COLUMNS, regParam=0.1).fit(df)
    with pytest.raises(IncompatibleError, match="Spark Connect makes no LinearSVCModel"):
        model.copy({model.featuresCols: None}).clear(model.featuresCols) or model._mllib_twin()


def test_a_pipeline_of_classic_spark_is_loaded_with_its_summary(df, reference, saved_by_classic):
    assert told_of_pipeline(PipelineModel.load(str(saved_by_classic)), df) == reference["pipeline"]


def test_classic_spark_loads_a_pipeline_with_its_summary(df, classic, tmp_path):
    model, where = fitted(df), str(tmp_path / "pipeline")
    for _ in range(2):
        model.write().overwrite().save(where)
    expected = told_of_pipeline(model, df)
    assert told_of_pipeline(PipelineModel.load(where), df) == expected
    assert classic("--load", where) == expected


@pytest.mark.parametrize("name", SCORED)
def test_every_model_is_saved_and_loaded(df, tmp_path, name):
    model = SCORED[name][0].copy().setParams(featuresCols=COLUMNS).fit(df)
    model.save(str(tmp_path / "model"))
    loaded = type(model).load(str(tmp_path / "model"))
    np.testing.assert_array_equal(loaded._weights, model._weights)
    assert loaded.hasSummary
    assert loaded.copy({loaded.predictionCol: ""}).transform(df).columns


def test_a_model_is_saved_over_another(df, tmp_path):
    where = str(tmp_path / "model")
    for strength in (0.1, 0.2):
        model = LogisticRegression(featuresCols=COLUMNS, regParam=strength).fit(df)
        model.write().overwrite().save(where)
    loaded = LogisticRegressionModel.load(where)
    np.testing.assert_array_equal(loaded._weights, model._weights)
    assert loaded.getRegParam() == 0.2
    again = LogisticRegression(
        featuresCols=COLUMNS, regParam=0.2, initialCoefficients=loaded.coefficients.toArray().tolist(),
        initialIntercept=loaded.intercept,
    ).fit(df)  # fmt: skip
    assert len(again.summary.objectiveHistory) <= 2


def test_folds_share_the_rounds_and_have_the_metrics_of_pyspark(df):
    estimator = LogisticRegression(tol=1e-9)
    stages = [VectorAssembler(inputCols=COLUMNS, outputCol="features"), estimator]
    grid = ParamGridBuilder().addGrid(estimator.regParam, [0.001, 1.0]).build()
    settings = {
        "estimatorParamMaps": grid,
        "evaluator": BinaryClassificationEvaluator(numBins=0),
        "numFolds": 2,
        "seed": 3,
    }
    ours = CrossValidator(estimator=Pipeline(stages=stages), **settings).fit(df)
    stock = StockCrossValidator(estimator=Pipeline(stages=stages), **settings).fit(df)
    np.testing.assert_allclose(ours.avgMetrics, stock.avgMetrics, rtol=1e-6)
    assert len(ours.results) == 4
    split = TrainValidationSplit(estimator=Pipeline(stages=stages), **{k: settings[k] for k in list(settings)[:2]})
    assert len(split.fit(df).validationMetrics) == 2


def test_losing_maps_are_retired(df):
    estimator = LogisticRegression(featuresCols=COLUMNS, solver="gd", maxIter=4, tol=0.0, execution="cluster")
    search = CrossValidator(
        estimator=estimator, evaluator=BinaryClassificationEvaluator(), numFolds=2, seed=3, collectSubModels=True,
        estimatorParamMaps=ParamGridBuilder().addGrid(estimator.stepSize, [1e-3, 0.1, 1.0]).build(), halvingFactor=2.0,
    )  # fmt: skip
    found = search.fit(df)
    assert sorted(found.results["iterations"]) == [2, 2, 4, 4, 4, 4]
    assert all(0.0 < model.summary.accuracy <= 1.0 for fold in found.subModels for model in fold)


def test_paths_and_step_sizes(df):
    path = LogisticRegression(featuresCols=COLUMNS, elasticNetParam=1.0).regParamPath(5).fit(df).path
    assert len(path) == 5
    test = LogisticRegression(featuresCols=COLUMNS, solver="gd").findStepSize(df)
    assert test.suggestion > 0


def test_one_against_the_rest(df):
    features = VectorAssembler(inputCols=COLUMNS, outputCol="features").transform(df)
    model = OneVsRest(classifier=LogisticRegression(), labelCol="count").fit(features)
    assert model.transform(features).where(F.col("prediction") == F.col("count")).count() > 0


def test_progress_and_callbacks(df, capsys):
    seen = []
    estimator = LogisticRegression(featuresCols=COLUMNS, progress=True, execution="cluster")
    estimator.setCallbacks([lambda record: seen.append(record.iteration)]).fit(frame(df.sparkSession, 2))
    assert seen
    assert "LogisticRegression" in "".join(capsys.readouterr())
