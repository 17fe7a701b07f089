"""Estimators behave as ``pyspark.ml`` estimators: tuning, copies, persistence, warm start, every kind of features."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import Vectors
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import functions as F
from scipy import sparse

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.exceptions import ModelFormatError
from sparkgd.regression import LinearRegression, LinearRegressionModel
from tests.support.frames import frame, sparse_frame

RNG = np.random.default_rng(6)
X = RNG.normal(size=(200, 3)) * np.array([1.0, 5.0, 0.2]) * (RNG.random((200, 3)) < 0.7)
Y = (X[:, 0] - 0.3 * X[:, 1] + RNG.logistic(size=200) > 0).astype(float)

ESTIMATORS = [LogisticRegression, LinearRegression]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda cls: cls.__name__)


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, Y, a=X[:, 0], b=X[:, 1], c=X[:, 2], margin=0.1 * X[:, 2]).cache()
    data.count()
    yield data
    data.unpersist()


def assert_same_model(left, right, rtol=0.0):
    np.testing.assert_allclose(left.coefficients, right.coefficients, rtol=rtol)
    np.testing.assert_allclose(left.intercept, right.intercept, rtol=rtol)


@each_estimator
def test_in_a_pipeline_after_assembler_and_scaler(df, tmp_path, estimator):
    stages = [
        VectorAssembler(inputCols=["a", "b", "c"], outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="scaled"),
        estimator(featuresCol="scaled", regParam=0.01),
    ]
    model = Pipeline(stages=stages).fit(df.drop("features"))
    scaled = X / X.std(axis=0, ddof=1)
    alone = estimator(regParam=0.01).fit(frame(df.sparkSession, scaled, Y))
    assert_same_model(model.stages[-1], alone, rtol=1e-5)
    model.write().overwrite().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert loaded.transform(df.drop("features")).collect() == model.transform(df.drop("features")).collect()


@pytest.mark.parametrize(
    ("estimator", "evaluator"),
    [(LogisticRegression, BinaryClassificationEvaluator), (LinearRegression, RegressionEvaluator)],
    ids=["LogisticRegression", "LinearRegression"],
)
def test_in_the_stock_cross_validator(df, estimator, evaluator):
    warm, metric = estimator(initialCoefficients=[0.1, 0.1, 0.1]), evaluator()
    grid = ParamGridBuilder().addGrid(warm.regParam, [0.001, 100.0]).build()
    validator = CrossValidator(estimator=warm, estimatorParamMaps=grid, evaluator=metric, numFolds=2, seed=1)
    model = validator.fit(df)
    assert model.bestModel.summary.status == "converged"
    assert len(model.avgMetrics) == 2
    best = int((np.argmax if metric.isLargerBetter() else np.argmin)(model.avgMetrics))
    assert_same_model(model.bestModel, warm.fit(df, grid[best]))


@each_estimator
def test_copies_and_param_maps(df, estimator):
    base = estimator(regParam=0.1)
    copied = base.copy({base.regParam: 5.0})
    assert (base.getRegParam(), copied.getRegParam(), copied.uid) == (0.1, 5.0, base.uid)
    expected = [estimator(regParam=r).fit(df) for r in (0.1, 5.0)]
    assert_same_model(base.fit(df, {base.regParam: 5.0}), expected[1])
    assert base.getRegParam() == 0.1
    models = base.fit(df, [{}, {base.regParam: 5.0}])  # they share what is learned of the curvature
    for model, other in zip(models, expected, strict=True):
        np.testing.assert_allclose(model.coefficients, other.coefficients, rtol=1e-6, atol=1e-6)
        assert model.summary.objective == pytest.approx(other.summary.objective, rel=1e-10)
        assert model.uid == base.uid
    steps = base.copy({base.solver: "gd", base.maxIter: 3})
    for model, other in zip(steps.fit(df, [{}, {base.regParam: 5.0}]), (0.1, 5.0), strict=True):
        assert_same_model(model, steps.copy({base.regParam: other}).fit(df))
    renamed = models[0].copy({models[0].predictionCol: "guess"})
    assert "guess" in renamed.transform(df).columns
    assert_same_model(renamed, models[0])
    assert renamed.summary is models[0].summary


def test_setters_return_the_object_and_getters_the_value():
    for estimator in (LogisticRegression(), LinearRegression()):
        for name in ("RegParam", "Tol", "MaxIter", "StepSize", "Solver", "InitialCoefficients", "FeaturesCols"):
            assert callable(getattr(estimator, f"get{name}"))
        assert estimator.setRegParam(0.5).setMaxIter(3) is estimator
        assert (estimator.getRegParam(), estimator.getMaxIter()) == (0.5, 3)
        assert estimator.setParams(tol=0.1).getTol() == 0.1
        assert "stepSize" in estimator.explainParams()


@each_estimator
def test_an_estimator_is_saved_and_loaded_with_every_param(df, tmp_path, estimator):
    before = estimator(
        regParam=0.25, initialCoefficients=[1.0, 2.0, 3.0], initialIntercept=0.5, featuresCols=["a", "b"]
    )
    before.setMaxSeconds(9.5).setSolver("l-bfgs").setBatchSize(7)
    before.save(str(tmp_path / "estimator"))
    after = estimator.load(str(tmp_path / "estimator"))
    assert after.uid == before.uid
    assert {p.name: v for p, v in after.extractParamMap().items()} == {
        p.name: v for p, v in before.extractParamMap().items()
    }


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("estimator", "model_class", "other_class"),
    [
        (LogisticRegression, LogisticRegressionModel, LinearRegressionModel),
        (LinearRegression, LinearRegressionModel, LogisticRegressionModel),
    ],
    ids=["LogisticRegression", "LinearRegression"],
)
def test_a_model_is_saved_and_loaded(df, tmp_path, estimator, model_class, other_class):
    model = estimator(regParam=0.1, predictionCol="guess", offsetCol="margin").fit(df)
    path = str(tmp_path / "model")
    model.save(path)
    loaded = model_class.load(path)
    assert_same_model(loaded, model)
    assert loaded.uid == model.uid
    assert loaded.numFeatures == 3
    assert loaded.transform(df).collect() == model.transform(df).collect()
    assert model.hasSummary
    assert loaded.hasSummary
    assert loaded.summary.objectiveHistory == model.summary.objectiveHistory
    with pytest.raises(Exception, match="already exists"):
        model.save(path)
    model.write().overwrite().save(path)
    with pytest.raises(ModelFormatError, match=f"not a .*{other_class.__name__}"):
        other_class.load(path)


@each_estimator
def test_a_warm_start_helps_and_survives(df, tmp_path, estimator):
    settings = {"solver": "l-bfgs", "regParam": 0.01, "tol": 1e-9, "dtype": "float64"}
    cold = estimator(**settings).fit(df)
    start = {"initialCoefficients": cold.coefficients, "initialIntercept": cold.intercept}
    warm = estimator(**settings, **start)
    fitted = warm.fit(df)
    assert fitted.summary.totalIterations < cold.summary.totalIterations
    assert fitted.summary.objectiveHistory[0] == pytest.approx(cold.summary.objective, rel=1e-9)

    warm.save(str(tmp_path / "estimator"))
    survivors = {
        "copy": warm.copy({warm.tol: 1e-8}),
        "persistence": estimator.load(str(tmp_path / "estimator")),
        "pipeline": Pipeline(stages=[warm]).copy().getStages()[0],
    }
    for name, survivor in survivors.items():
        assert survivor.fit(df).summary.totalIterations <= fitted.summary.totalIterations, name


def test_max_iter_zero_returns_the_warm_start(df):
    model = LogisticRegression(maxIter=0, initialCoefficients=[0.5, -0.25, 2.0], initialIntercept=0.75).fit(df)
    np.testing.assert_allclose(model.coefficients, [0.5, -0.25, 2.0], rtol=1e-12)
    assert model.intercept == pytest.approx(0.75)
    assert model.summary.totalIterations == 0


def features_of_every_kind(df):
    array = vector_to_array("features")
    to_sparse = F.udf(
        lambda v: Vectors.sparse(len(v), [(i, x) for i, x in enumerate(v) if x]), df.schema["features"].dataType
    )
    mixed = F.when(F.col("label") == 1, to_sparse("features")).otherwise(F.col("features"))
    return {
        "dense vectors": df,
        "sparse vectors": df.withColumn("features", to_sparse("features")),
        "mixed vectors": df.withColumn("features", mixed),
        "array of doubles": df.withColumn("features", array),
        "array of floats": df.withColumn("features", array.cast("array<float>")),
        "array of ints": df.withColumn("features", array.cast("array<int>")),
        "columns": df,
    }


@pytest.mark.parametrize("execution", ["cluster", "driver"])
@pytest.mark.parametrize(
    "kind",
    ["sparse vectors", "mixed vectors", "array of doubles", "array of floats", "array of ints", "columns"],
)
def test_features_of_every_kind(df, execution, kind):
    data = features_of_every_kind(df)[kind]
    estimator = LogisticRegression(regParam=0.01, execution=execution)
    expected = features_of_every_kind(df)["dense vectors"]
    if kind == "array of ints":
        expected = frame(df.sparkSession, np.trunc(X), Y)
    if kind == "columns":
        estimator.setFeaturesCols(["a", "b", "c"])
    model = estimator.fit(data)
    plain = LogisticRegression(regParam=0.01, execution=execution).fit(expected)
    assert_same_model(model, plain, rtol=1e-5 if kind == "array of floats" else 1e-8)
    scored = model.transform(data)
    assert set(scored.columns) == {*data.columns, "rawPrediction", "probability", "prediction"}
    mine = [row[0][1] for row in scored.orderBy("a", "b", "c").select("probability").collect()]
    theirs = [row[0][1] for row in plain.transform(df).orderBy("a", "b", "c").select("probability").collect()]
    if kind != "array of ints":
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def test_float32_storage_is_close(df):
    double, single = (LogisticRegression(regParam=0.01, dtype=t).fit(df) for t in ("float64", "float32"))
    np.testing.assert_allclose(single.coefficients, double.coefficients, rtol=1e-5)
    assert single.summary.partitionStats[0].bytes < double.summary.partitionStats[0].bytes


def test_column_names_with_dots_and_quotes(spark, df):
    renamed = df.selectExpr("features as `x.y`", "label as `the ``label```", "margin as `o.f`")
    estimator = LogisticRegression(featuresCol="x.y", labelCol="the `label`", offsetCol="o.f", regParam=0.1)
    model = estimator.fit(renamed)
    assert_same_model(model, LogisticRegression(offsetCol="margin", regParam=0.1).fit(df), rtol=1e-9)


def test_the_summary_tells_the_story(df):
    summary = LogisticRegression(regParam=0.01, execution="cluster").fit(df).summary
    assert summary.status == "converged"
    assert summary.statusReason
    assert len(summary.objectiveHistory) == len(summary.gradientNormHistory) == summary.totalIterations + 1
    assert len(summary.secondsPerRound) == summary.totalRounds
    assert summary.ingestSeconds > 0.0
    assert sum(part.rows for part in summary.partitionStats) == 200
    assert "converged" in repr(summary)


def test_many_fits_on_sparse_input_agree(spark, df):
    model = LogisticRegression(regParam=0.01).fit(sparse_frame(spark, sparse.csr_array(X), Y))
    assert_same_model(model, LogisticRegression(regParam=0.01).fit(df), rtol=1e-8)
