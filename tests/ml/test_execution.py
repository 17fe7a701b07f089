"""Cluster, driver and plain loop agree; a fit runs one ingest job, one job a round, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import LinearSVC, LogisticRegression
from sparkgd.engine import driver
from sparkgd.regression import LinearRegression
from sparkgd.training import cutting_planes
from tests.support.frames import frame, in_partitions
from tests.support.leftovers import nothing_left

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 6)) * np.array([1, 10, 0.1, 1, 5, 1])
Y = (X[:, 0] - X[:, 1] / 10 + RNG.logistic(size=400) > 0).astype(float)
WEIGHT = RNG.choice([0.0, 1.0, 2.0], 400)


@pytest.fixture(scope="module")
def df(spark):
    frame_ = frame(spark, X, Y, weight=WEIGHT, target=X @ np.arange(6) + RNG.normal(size=400)).cache()
    frame_.count()
    yield frame_
    frame_.unpersist()


@pytest.mark.parametrize("solver", [pytest.param("newton", marks=pytest.mark.smoke), "l-bfgs", "gd", "sgd"])
def test_cluster_and_driver_give_the_same_coefficients(spark, df, solver):
    estimator = LogisticRegression(solver=solver, regParam=0.01, weightCol="weight", maxIter=5, tol=0.0)
    if solver == "sgd":
        estimator.setBatchSize(20)
    with nothing_left(spark):
        cluster = estimator.copy().setExecution("cluster").fit(df)
        driver = estimator.copy().setExecution("driver").fit(df)
    assert (cluster.summary.execution, driver.summary.execution) == ("cluster", "driver")
    np.testing.assert_allclose(cluster.coefficients, driver.coefficients, rtol=1e-10)
    assert cluster.intercept == pytest.approx(driver.intercept, rel=1e-10)
    np.testing.assert_allclose(cluster.summary.objectiveHistory, driver.summary.objectiveHistory, rtol=1e-12)
    assert cluster.summary.totalRounds == driver.summary.totalRounds


def test_condensed_rows_on_a_cluster_lead_to_the_optimum(spark, df, monkeypatch):
    estimator = LinearSVC(regParam=0.01, weightCol="weight", classWeight={"1": 2.0})
    plain = estimator.copy().setExecution("driver").fit(df).summary
    monkeypatch.setattr(driver, "SAMPLED_BYTES", 0)
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", 8 * (6 + 3) * 100)
    with nothing_left(spark):
        first, second = (estimator.copy().setExecution("cluster").fit(df) for _ in range(2))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    assert "it starts from the optimum of condensed rows" in first.summary.solverReason
    assert "condensed" not in plain.solverReason
    assert first.summary.status == plain.status == "converged"
    assert first.summary.objectiveHistory[-1] == pytest.approx(plain.objectiveHistory[-1], rel=2e-6)


@pytest.mark.parametrize("execution", ["cluster", "driver"])
@pytest.mark.parametrize("solver", ["l-bfgs", "sgd"])
def test_two_runs_give_the_same_bits(df, execution, solver):
    estimator = LogisticRegression(solver=solver, execution=execution, regParam=0.01, maxIter=8, tol=0.0)
    first, second = estimator.fit(df), estimator.fit(df)
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    assert first.intercept == second.intercept
    assert first.summary.objectiveHistory == second.summary.objectiveHistory


@pytest.mark.parametrize("execution", ["cluster", "driver"])
def test_partitions_and_the_order_of_rows_do_not_matter(spark, df, execution):
    estimator = LinearRegression(labelCol="target", regParam=0.1, execution=execution)
    expected = estimator.fit(df)
    for other in (in_partitions(df, 1), in_partitions(df, 7), df.orderBy("target")):
        found = estimator.fit(other)
        np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-9)


def test_partitions_without_rows(spark, df):
    few = df.where("label = 1 and weight > 0").limit(3).union(df.where("label = 0").limit(3))
    spread = in_partitions(few, 6).union(few.where("label > 5"))
    with nothing_left(spark):
        for execution in ("cluster", "driver"):
            model = LogisticRegression(regParam=0.1, execution=execution).fit(spread)
            assert model.summary.status == "converged"
            assert sum(part.rows for part in model.summary.partitionStats) == 6


def skewed(df, share=0.9, partitions=8):
    """The rows in order, the given share of them in one partition; cached.

    Spark coalesces the output of a shuffle otherwise once it knows where the shuffle's files are.
    """
    rows = df.count()

    def place(pair):
        return partitions - 1 if pair[1] >= (1 - share) * rows else pair[1] % (partitions - 1)

    moved = df.rdd.zipWithIndex().map(lambda pair: (place(pair), pair[0])).partitionBy(partitions, int)
    cut = df.sparkSession.createDataFrame(moved.values(), df.schema).cache()
    cut.count()
    return cut


def test_a_skewed_partition_is_shared(spark, df):
    estimator = LinearRegression(labelCol="target", regParam=0.1, execution="cluster", tol=1e-10)
    uneven = skewed(df)
    with nothing_left(spark):
        shared, again, whole = (estimator.copy().setBalance(x).fit(uneven) for x in ("auto", "auto", "never"))
    rows = [part.rows for part in whole.summary.partitionStats]
    assert len(rows) == 2 and max(rows) >= 360
    stats = shared.summary.partitionStats
    assert sum(part.rows for part in stats) == sum(rows) == 400
    assert max(part.rows for part in stats) <= 200
    assert sum(part.stored for part in stats) == 400 * 6
    assert all(part.seconds > 0 for part in stats)
    np.testing.assert_array_equal(shared.coefficients, again.coefficients)
    assert shared.intercept == again.intercept
    np.testing.assert_allclose(shared.coefficients, whole.coefficients, rtol=1e-9)
    uneven.unpersist()


@pytest.mark.parametrize("balance", ["auto", "never"])
def test_even_partitions_are_left_alone(df, balance):
    model = LinearRegression(labelCol="target", execution="cluster", balance=balance).fit(df)
    assert [part.rows for part in model.summary.partitionStats] == [200, 200]


def test_one_partition_keeps_all_slots_busy(spark, df):
    model = LinearRegression(labelCol="target", execution="cluster").fit(in_partitions(df, 1))
    assert [(part.partition, part.rows) for part in model.summary.partitionStats] == [(0, 200), (0, 200)]


def test_thousands_of_partitions_become_one_task_for_each_slot(spark):
    many = spark.range(4000, numPartitions=2000).select(
        F.array(F.sin("id")).alias("features"), F.cos("id").alias("label")
    )
    model = LinearRegression(execution="cluster").fit(many)
    assert [part.rows for part in model.summary.partitionStats] == [2000, 2000]
