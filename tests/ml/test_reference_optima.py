"""The estimators reach certified optima of real data by default, on the cluster and in the driver process."""

from __future__ import annotations

import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.regression import LinearRegression
from tests.support.datasets import load, unpacked
from tests.support.optima import l2_problems, objective
from tests.support.processes import descendants, resident_bytes

PROBLEMS = l2_problems("a9a", "breast_cancer", "abalone")


@pytest.fixture(scope="module")
def frames(spark, tmp_path_factory):
    directory = tmp_path_factory.mktemp("frames")
    found = {}
    for name in {problem.dataset for problem in PROBLEMS}:
        found[name] = spark.read.format("libsvm").load(str(unpacked(name, directory))).repartition(3).cache()
    yield found
    for frame in found.values():
        frame.unpersist()


def estimator_of(problem, label_deviation):
    common = {"standardization": problem.standardization, "fitIntercept": problem.intercept}
    if problem.loss == "logistic":
        return LogisticRegression(regParam=problem.reg, **common)
    # MLlib's linear regression divides the L2 part by the label's deviation.
    return LinearRegression(solver="newton", regParam=problem.reg * label_deviation, **common)


@pytest.mark.parametrize("execution", ["cluster", "driver"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_default_settings_reach_the_optimum(frames, problem, execution):
    estimator = estimator_of(problem, load(problem.dataset)[1].std(ddof=1)).setExecution(execution)
    model = estimator.fit(frames[problem.dataset])
    assert model.summary.status == "converged"
    assert model.summary.execution == execution
    found = objective(problem, model.coefficients.toArray(), model.intercept)
    assert found == pytest.approx(problem.objective, rel=1e-6)


def test_sparse_rows_stay_sparse(spark, tmp_path):
    """Dense, the 25,000 x 49,170 matrix of imdb would take 9.8 GB."""
    frame = spark.read.format("libsvm").option("numFeatures", 49_170).load(str(unpacked("imdb", tmp_path)))
    peaks = []
    estimator = LogisticRegression(regParam=0.01, execution="cluster").setCallbacks(
        [lambda record: peaks.append(max(resident_bytes(pid) for pid in descendants("pyspark.daemon")))]
    )
    model = estimator.fit(frame)
    stored = load("imdb")[0].nnz
    assert model.summary.status == "converged"
    assert sum(part.stored for part in model.summary.partitionStats) == stored
    assert sum(part.bytes for part in model.summary.partitionStats) < 13 * stored
    assert max(peaks) < 1 << 30
