"""Small cached data are packed in the driver process: the same numbers and the same errors as by ingest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F
from scipy import sparse

from sparkgd.classification import LogisticRegression
from sparkgd.engine.classic.executors import ClassicExecutors
from sparkgd.engine.classic.known_size import is_small, mean_row_bytes
from sparkgd.exceptions import InvalidDataError
from sparkgd.regression import LinearRegression
from tests.support.frames import frame, in_partitions, sparse_frame
from tests.support.leftovers import nothing_left

RNG = np.random.default_rng(17)
ROWS = 60
X = RNG.normal(size=(ROWS, 3)) * (RNG.random((ROWS, 3)) < 0.7)
Y = (X[:, 0] + RNG.logistic(size=ROWS) > 0).astype(float)


@pytest.fixture
def cached(spark):
    held = []

    def cache(df):
        held.append(df.cache())
        df.count()
        return held[-1]

    yield cache
    for df in held:
        df.unpersist()


@pytest.mark.parametrize("form", ["dense", "sparse", "columns"])
def test_same_numbers_as_by_ingest_and_no_files_left(spark, cached, monkeypatch, own_temporary, form):
    weight = RNG.choice([0.0, 1.0, 2.0], ROWS)
    if form == "sparse":
        df, params = sparse_frame(spark, sparse.csr_array(X), Y), {}
    else:
        df = frame(spark, X, Y, weight=weight, a=X[:, 0], b=X[:, 1])
        params = {"weightCol": "weight", **({"featuresCols": ["a", "b"]} if form == "columns" else {})}
    df = cached(df)
    estimator = LogisticRegression(regParam=0.1, tol=1e-10, **params)
    with nothing_left(spark):
        here = estimator.fit(df)
        assert len(here.summary.partitionStats) == 1
        monkeypatch.setattr(ClassicExecutors, "know_small", lambda executors, df, limit: False)
        there = estimator.fit(df)
        assert len(there.summary.partitionStats) == 2
    np.testing.assert_allclose(here.coefficients, there.coefficients, rtol=1e-9)
    assert here.intercept == pytest.approx(there.intercept, rel=1e-9)
    assert here.summary.objective == pytest.approx(there.summary.objective, rel=1e-13)
    assert not list(own_temporary.iterdir())


BAD = {
    "null label": (None, [1.0, 2.0], 1.0),
    "NaN label": (float("nan"), [1.0, 2.0], 1.0),
    "fractional label": (0.5, [1.0, 2.0], 1.0),
    "label out of range": (-1.0, [1.0, 2.0], 1.0),
    "NaN feature": (1.0, [1.0, float("nan")], 1.0),
    "infinite feature": (1.0, [float("inf"), 2.0], 1.0),
    "null features": (1.0, None, 1.0),
    "ragged features": (1.0, [1.0, 2.0, 3.0], 1.0),
    "negative weight": (1.0, [1.0, 2.0], -1.0),
    "null weight": (1.0, [1.0, 2.0], None),
}
GOOD = [(float(i % 2), [float(i), float(i * i % 5)], 1.0) for i in range(6)]
SCHEMA = "label double, features array<double>, weight double"


def message(df, execution) -> str:
    with pytest.raises(InvalidDataError) as caught:
        LogisticRegression(weightCol="weight", family="binomial", execution=execution).fit(df)
    return str(caught.value)


@pytest.mark.parametrize("kind", BAD)
def test_bad_data_give_the_same_error_on_both_paths(spark, cached, own_temporary, kind):
    df = cached(spark.createDataFrame([*GOOD, BAD[kind]], SCHEMA))
    with nothing_left(spark):
        assert message(df, "driver") == message(df, "cluster")
    assert not list(own_temporary.iterdir())


@pytest.mark.parametrize("rows", ["none", "weightless"])
def test_nothing_to_train_on_gives_the_same_error_on_both_paths(spark, cached, rows):
    data = [] if rows == "none" else [(y, x, 0.0) for y, x, _ in GOOD]
    df = cached(spark.createDataFrame(data, SCHEMA))
    expected = "the DataFrame has no rows" if rows == "none" else "every weight in column 'weight' is zero"
    for execution in ("driver", "cluster"):
        assert expected in message(df, execution)


def test_only_what_spark_knows_to_be_small_is_small(spark, cached, tmp_path):
    df = cached(frame(spark, X, Y))
    assert is_small(df, 1 << 20)
    assert is_small(df.where("label = 1").select("features"), 1 << 20)
    assert is_small(df.repartition(3), 1 << 20)
    assert not is_small(df, 100)
    hidden = cached(
        spark.range(100).select(
            F.repeat(F.lit("x"), 100_000).alias("a"), *(F.lit("").alias(f"s{i}") for i in range(99))
        )
    )
    assert not is_small(hidden.select("a"), 1 << 20)  # Spark takes it for a hundredth of the whole
    assert mean_row_bytes(hidden.select("a")) >= 100_000
    assert mean_row_bytes(spark.range(10)) == math.inf
    exploded = df.select(F.explode(F.sequence(F.lit(1), F.lit(1_000_000))).alias("n"))
    assert not is_small(exploded, 1 << 20)
    repeated = cached(spark.range(100_000).select(F.lit(1.0).alias("label"), F.lit(2.0).alias("a")))
    assert not is_small(repeated, 1 << 20)  # compressed to nearly nothing
    df.select("label").write.parquet(str(tmp_path / "rows"))
    assert not is_small(spark.read.parquet(str(tmp_path / "rows")), 1 << 20)
    lazy = spark.range(10).cache()
    assert not is_small(lazy, 1 << 20)  # it is cached only when it is first read
    lazy.unpersist()


def test_one_feature_and_fewer_rows_than_features(spark):
    single = spark.createDataFrame(
        [(float(i > 2), [float(i % 4)]) for i in range(6)], "label double, features array<double>"
    )
    model = LogisticRegression(regParam=0.1).fit(single)
    assert model.summary.status == "converged"
    assert model.numFeatures == 1
    wide = frame(spark, RNG.normal(size=(4, 9)), np.array([0.0, 1.0, 1.0, 0.0]), 3)
    for estimator in (LogisticRegression(regParam=0.1), LinearRegression(regParam=0.1), LinearRegression()):
        model = estimator.fit(wide)
        assert model.summary.status == "converged"
        assert np.isfinite(model.coefficients).all()


def test_one_row_per_class(spark):
    two = spark.createDataFrame([(0.0, Vectors.dense(1.0, 5.0)), (1.0, Vectors.dense(3.0, 5.0))], ["label", "features"])
    model = LogisticRegression(regParam=0.1).fit(two)
    assert model.coefficients[0] > 0.0
    assert model.coefficients[1] == 0.0  # the column is constant
    assert [row.prediction for row in model.transform(two).collect()] == [0.0, 1.0]


def test_rows_of_weight_zero_do_not_count(spark):
    weight = np.where(np.arange(ROWS) % 3 == 0, 0.0, 1.0)
    noise = np.where(weight[:, None] == 0.0, 1e3, X)
    df = in_partitions(frame(spark, noise, np.where(weight == 0.0, 7.0, Y), 1, weight=weight), 3)
    found = LogisticRegression(regParam=0.1, weightCol="weight", tol=1e-10).fit(df)
    expected = LogisticRegression(regParam=0.1, tol=1e-10).fit(df.where("weight > 0"))
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-7)
    assert found.numClasses == 2
