"""``partialFit`` of DataFrames: real data in batches, streams, saved models, and what is refused."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression, LogisticRegressionModel
from sparkgd.exceptions import (
    ConvergenceWarning,
    IncompatibleError,
    InvalidDataError,
    InvalidParamError,
    ModelFormatError,
)
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression
from tests.support.datasets import load_or_bundled
from tests.support.frames import frame

BATCHES = 10


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    features, label = load_or_bundled(name)
    order = np.random.default_rng(3).permutation(len(label))[:4000]
    return features[order], label[order]


def numbered(spark: SparkSession, features: np.ndarray, label: np.ndarray) -> DataFrame:
    """A DataFrame with the number of each row's batch."""
    return frame(spark, features, label, batch=np.arange(len(label)) * BATCHES // len(label)).cache()


def generated(seed: int = 0, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, 3)) * [1.0, 10.0, 0.1] + [0.0, 50.0, 0.0]
    return features, features @ [1.0, 0.1, -5.0] + random.normal(size=rows)


@pytest.fixture(scope="module")
def binary(spark: SparkSession) -> DataFrame:
    features, raw = generated()
    return numbered(spark, features, (raw > np.median(raw)).astype(float))


def batch_of(df: DataFrame, number: int) -> DataFrame:
    return df.where(F.col("batch") == number)


def in_turn(estimator, df: DataFrame, count: int = BATCHES):
    model = None
    for number in range(count):
        model = estimator.partialFit(batch_of(df, number), model)
    return model


CASES = {
    "linear": ("cadata", LinearRegression(regParam=0.1, elasticNetParam=0.5), 1e-9),
    "huber": ("cadata", GradientDescentRegressor(loss="huber", epsilon=1e5, regParam=1e-3), 0.01),
    "gaussian": ("diabetes", GeneralizedLinearRegression(regParam=0.1), 1e-9),
    "logistic": ("bank", LogisticRegression(regParam=1e-3), 0.01),
    "logistic L1": ("bank", LogisticRegression(regParam=1e-3, elasticNetParam=1.0), 0.01),
    "multinomial": ("winequality", LogisticRegression(regParam=1e-3), 0.01),
    "squaredHinge": ("bank", GradientDescentClassifier(loss="squaredHinge", regParam=1e-3), 0.01),
    "poisson": ("bike", GradientDescentRegressor(loss="poisson", regParam=1e-4), 0.01),
    "poisson GLM": ("bike", GeneralizedLinearRegression(family="poisson"), 0.01),
}


@pytest.mark.parametrize("name", CASES)
def test_ten_batches_come_to_where_one_fit_does(spark, name):
    data, estimator, excess = CASES[name]
    features, label = rows_of(data)
    if name == "multinomial":
        label = np.clip(label, 5, 7) - 5
    df = numbered(spark, features, label)
    learned, whole = in_turn(estimator, df), estimator.fit(df)
    start = {"initialCoefficients": learned._weights, "initialIntercept": learned._intercepts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        there = type(estimator)(**{p.name: v for p, v in estimator.extractParamMap().items()} | start | {"maxIter": 0})
        reached = there.fit(df).summary.objective
    best = whole.summary.objective
    assert -1e-9 * abs(best) <= reached - best <= excess * abs(best)
    assert learned.summary.objective == pytest.approx(reached, rel=0.02), "told of all rows"
    assert learned.summary.solver == "newton"
    df.unpersist()


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_the_bits_are_the_same_wherever_rounds_run(binary, execution):
    estimator = LogisticRegression(regParam=0.01)
    found = in_turn(estimator.copy().setExecution(execution), binary, 3)
    other = in_turn(estimator.copy().setExecution("cluster"), binary, 3)
    np.testing.assert_allclose(found._weights, other._weights, rtol=1e-9)
    assert execution == "driver" or np.array_equal(found._weights, other._weights)


def test_a_saved_model_goes_on_to_the_last_bit(binary, tmp_path):
    estimator = LogisticRegression(regParam=0.01)
    model = in_turn(estimator, binary, 3)
    model.save(str(tmp_path / "model"))
    loaded = LogisticRegressionModel.load(str(tmp_path / "model"))
    assert loaded.hasMemory
    np.testing.assert_array_equal(loaded.priorPrecision, model.priorPrecision)
    found, expected = (estimator.partialFit(batch_of(binary, 3), each) for each in (loaded, model))
    np.testing.assert_array_equal(found._weights, expected._weights)
    np.testing.assert_array_equal(found.priorPrecision, expected.priorPrecision)


def test_in_a_saved_pipeline_it_goes_on_too(spark, tmp_path):
    features, label = generated()
    names = ["a", "b", "c"]
    columns = dict(zip(names, features.T, strict=True))
    df = frame(spark, features, label, **columns).drop("features")
    assembler = VectorAssembler(inputCols=names, outputCol="features")
    estimator = LinearRegression()
    first = estimator.partialFit(assembler.transform(df.limit(300)))
    PipelineModel([assembler, first]).write().overwrite().save(str(tmp_path / "pipeline"))
    loaded = PipelineModel.load(str(tmp_path / "pipeline"))
    again = estimator.partialFit(assembler.transform(df), loaded.stages[-1])
    assert again._memory.batches == 2
    assert again.featureNames == names


@pytest.mark.parametrize("damage", ["missing", "newer", "other bytes"])
def test_a_damaged_memory_is_refused(spark, binary, tmp_path, damage):
    path = tmp_path / "model"
    in_turn(LogisticRegression(), binary, 1).save(str(path))
    if damage == "missing":
        shutil.rmtree(path / "memory")
    elif damage == "other bytes":
        rows = [("document", 0, bytearray(b"{}")), ("arrays", 0, bytearray(b"x"))]
        other = spark.createDataFrame(rows, "part string, number int, content binary")
        other.write.mode("overwrite").parquet(str(path / "memory"))
    else:
        (part,) = (each for each in (path / "metadata").iterdir() if each.name.startswith("part"))
        metadata = json.loads(part.read_text())
        metadata["memory"]["format"] = 99
        (path / "metadata" / f".{part.name}.crc").unlink()
        part.write_text(json.dumps(metadata))
    with pytest.raises(ModelFormatError if damage != "missing" else Exception, match="memory"):
        LogisticRegressionModel.load(str(path))


def test_a_stream_is_learned_from(spark, binary, tmp_path):
    """``foreachBatch`` with the model of the batch before; ``transform`` scores a stream meanwhile."""
    source, estimator = tmp_path / "source", LogisticRegression(regParam=0.01)
    columns = binary.select("label", "batch", F.col("features"))
    columns.repartition(BATCHES, "batch").write.parquet(str(source))
    models = []

    def learn(batch: DataFrame, number: int) -> None:
        models.append(estimator.partialFit(batch, models[-1] if models else None))

    stream = spark.readStream.schema(columns.schema).option("maxFilesPerTrigger", 1).parquet(str(source))
    query = stream.writeStream.foreachBatch(learn).trigger(availableNow=True).start()
    query.awaitTermination(120)
    assert query.exception() is None
    assert len(models) >= 2
    whole = estimator.fit(binary)
    np.testing.assert_allclose(models[-1]._weights, whole._weights, rtol=0.1)
    scored = models[-1].transform(stream)
    assert scored.isStreaming
    query = scored.writeStream.format("memory").queryName("scored").trigger(availableNow=True).start()
    query.awaitTermination(120)
    assert spark.table("scored").count() == binary.count()
    spark.catalog.dropTempView("scored")


def test_an_empty_batch_changes_nothing(binary):
    estimator = LogisticRegression()
    model = in_turn(estimator, binary, 1)
    assert estimator.partialFit(binary.limit(0), model) is model
    with pytest.raises(InvalidDataError, match="no rows"):
        estimator.partialFit(binary.limit(0))


def test_a_batch_may_have_one_label_alone_but_not_the_first(binary):
    estimator = LogisticRegression(regParam=0.01)
    ones = binary.where("label = 1")
    with pytest.raises(InvalidDataError, match=r"label.*first batch.*same"):
        estimator.partialFit(ones)
    model = in_turn(estimator, binary, 2)
    assert estimator.partialFit(ones, model).intercept > model.intercept


def test_the_precision_is_the_inverse_of_the_covariance(binary):
    model = LogisticRegression().partialFit(binary)
    expected = model.summary.inference("classic").standardErrors
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(model.priorPrecision))), expected, rtol=1e-6)


def test_errors_are_about_all_rows_or_refused(binary):
    """Those of the last batch alone would be much too large for a model of all."""
    estimator = LogisticRegression()
    learned, whole = in_turn(estimator, binary, 4), estimator.fit(binary.where("batch < 4"))
    found, expected = learned.summary.coefficientTable, whole.summary.coefficientTable
    np.testing.assert_allclose(found["std error"], expected["std error"], rtol=0.1)
    assert learned.summary.inference().degreesOfFreedom == whole.summary.inference().degreesOfFreedom
    with pytest.raises(IncompatibleError, match=r"batches before are gone.*priorPrecision"):
        learned.summary.inference("HC3")
    linear = in_turn(LinearRegression(), binary, 2)
    with pytest.raises(IncompatibleError, match="batches before are gone"):
        _ = linear.summary.coefficientStandardErrors
    assert "no coefficient table" in str(linear.summary)
    assert list(linear.coefficientTable.columns) == ["estimate"]


def test_decay_forgets(binary):
    estimator = LinearRegression()
    flipped = binary.withColumn("label", -F.col("label"))
    model = estimator.partialFit(binary)
    kept, forgot = (estimator.partialFit(flipped, model, factor) for factor in (1.0, 1e-6))
    np.testing.assert_allclose(kept._weights, 0.0, atol=1e-8)
    np.testing.assert_allclose(forgot._weights, -model._weights, rtol=1e-4)


def test_few_rows_to_begin_with_are_warned_of(binary):
    with pytest.warns(ConvergenceWarning, match="the first batch has .* rows for 4 coefficients"):
        LogisticRegression(regParam=0.1).partialFit(binary.where("batch = 0").limit(30))


def test_a_model_of_fit_has_no_memory(binary):
    estimator = LogisticRegression()
    model = estimator.fit(binary)
    assert not model.hasMemory
    with pytest.raises(RuntimeError, match="partialFit"):
        _ = model.priorPrecision
    with pytest.raises(IncompatibleError, match="no memory"):
        estimator.partialFit(binary, model)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (LinearSVC(), "hinge loss has not"),
        (LinearRegression(loss="huber"), "loss has not"),
        (LogisticRegression(solver="l-bfgs"), "solver='l-bfgs'"),
        (LogisticRegression(classWeight="balanced"), "classWeight='balanced'"),
        (LogisticRegression(checkpointDir="/nowhere"), "checkpointDir"),
        (GeneralizedLinearRegression(family="poisson", regParam=0.1), "working weights"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_cannot_be_remembered_is_refused_before_any_job(binary, estimator, words):
    with pytest.raises(IncompatibleError, match=words):
        estimator.partialFit(binary.where(F.raise_error(F.lit("a job ran")).isNull()))


def test_other_rows_than_before_are_refused(spark, binary):
    estimator = LogisticRegression()
    model = estimator.partialFit(binary)
    features, _ = generated()
    narrow = frame(spark, features[:, :2], np.arange(600.0) % 2)
    with pytest.raises(InvalidDataError, match=r"2 features.*3"):
        estimator.partialFit(narrow, model)
    with pytest.raises(InvalidDataError, match=r"labels up to 2.*2 classes.*metadata"):
        estimator.partialFit(frame(spark, features, np.arange(600.0) % 3), model)
    with pytest.raises(IncompatibleError, match="without intercept"):
        LogisticRegression(fitIntercept=False).partialFit(binary, model)
    with pytest.raises(IncompatibleError, match="squaredHinge"):
        GradientDescentClassifier(loss="squaredHinge").partialFit(binary, model)
    with pytest.raises(InvalidParamError, match="decayFactor"):
        estimator.partialFit(binary, model, 0.0)
    with pytest.raises(InvalidParamError, match="model must be"):
        estimator.partialFit(binary, "model")


def test_features_of_another_order_are_refused(spark):
    features, label = generated()
    df = frame(spark, features, label, a=features[:, 0], b=features[:, 1])
    model = LinearRegression(featuresCols=["a", "b"]).partialFit(df)
    with pytest.raises(InvalidDataError, match=r"feature 0 is 'b'.*'a'"):
        LinearRegression(featuresCols=["b", "a"]).partialFit(df, model)
