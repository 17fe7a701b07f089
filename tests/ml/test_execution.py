"""Cluster, driver and plain loop agree; a fit runs one ingest job, one job a round, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.regression import LinearRegression
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


@pytest.mark.parametrize("solver", ["newton", "l-bfgs", "gd", "sgd"])
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
