"""Linear support vector machines against MLlib's, and their model's surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from chispa import assert_df_equality
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LinearSVC as MLlibLinearSVC
from pyspark.ml.classification import LinearSVCModel as MLlibModel
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from sklearn.datasets import load_breast_cancer

from sparkgd.classification import LinearSVC, LinearSVCModel
from sparkgd.exceptions import IncompatibleError, InvalidDataError, InvalidParamError
from tests.support.frames import frame

Array = npt.NDArray[np.float64]

FEATURES, TARGET = load_breast_cancer(return_X_y=True)
LABEL = TARGET.astype(np.float64)
WEIGHT = np.random.default_rng(1).uniform(0.2, 3.0, len(LABEL))
OFFSET = np.random.default_rng(2).normal(size=len(LABEL))


@pytest.fixture(scope="module")
def df(spark: SparkSession) -> DataFrame:
    return frame(spark, FEATURES, LABEL, w=WEIGHT, o=OFFSET).cache()


@pytest.fixture(scope="module")
def model(df: DataFrame) -> LinearSVCModel:
    return LinearSVC(regParam=0.01, weightCol="w").fit(df)


def objective(model: LinearSVCModel | MLlibModel, reg_param: float, standardize: bool) -> float:
    """Section 3 of MLlib's contract, written out."""
    coefficients = model.coefficients.toArray()
    margin = FEATURES @ coefficients + model.intercept
    total = WEIGHT.sum()
    mean = WEIGHT @ FEATURES / total
    variance = WEIGHT @ (FEATURES - mean) ** 2 / (total - WEIGHT @ WEIGHT / total)
    loss = WEIGHT @ np.maximum(0.0, 1.0 - (2.0 * LABEL - 1.0) * margin) / total
    return float(loss + 0.5 * reg_param * np.sum((variance if standardize else 1.0) * coefficients**2))


@pytest.mark.parametrize("standardization", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_is_proven_optimal_and_not_above_mllib(df, standardization, fit_intercept):
    params = {
        "regParam": 0.01, "weightCol": "w", "standardization": standardization, "fitIntercept": fit_intercept,
    }  # fmt: skip
    ours, theirs = LinearSVC(**params).fit(df), MLlibLinearSVC(**params).fit(df)
    reached = objective(ours, 0.01, standardization)
    assert ours.summary.status == "converged"
    assert ours.summary.objective == pytest.approx(reached, rel=1e-9)
    assert 0.0 <= ours.summary.dualityGap <= 1e-6 * reached
    assert reached - ours.summary.dualityGap <= objective(theirs, 0.01, standardization)
    assert reached <= objective(theirs, 0.01, standardization) * (1.0 + 1e-6)
    assert ours.summary.totalRounds <= 60
    assert (ours.intercept != 0.0) == fit_intercept


def test_cluster_and_driver_give_the_same_coefficients(df, model):
    assert model.summary.execution == "driver"
    cluster = LinearSVC(regParam=0.01, weightCol="w", execution="cluster").fit(df)
    assert cluster.summary.execution == "cluster"
    np.testing.assert_allclose(cluster.coefficients, model.coefficients, rtol=1e-10)
    assert cluster.intercept == pytest.approx(model.intercept, rel=1e-10)
    assert cluster.summary.totalRounds == model.summary.totalRounds


def test_l_bfgs_may_be_named(df):
    model = LinearSVC(regParam=0.1, weightCol="w", solver="l-bfgs", maxIter=1000).fit(df)
    assert model.summary.status == "converged"
    assert model.summary.dualityGap <= 1e-6 * model.summary.objective


def test_separable_classes_have_no_loss_without_regularisation(df):
    summary = LinearSVC(weightCol="w").fit(df).summary
    assert (summary.status, summary.objective, summary.dualityGap) == ("converged", 0.0, 0.0)


def test_without_regularisation_the_reason_says_that_there_is_no_proof(spark):
    summary = LinearSVC().fit(frame(spark, FEATURES[:, :3], LABEL)).summary
    assert summary.status == "converged"
    assert "no proof" in summary.statusReason
    assert summary.dualityGap == summary.objective


@pytest.mark.smoke
def test_scores_as_mllib_does(df, model):
    margin = FEATURES @ model.coefficients.toArray() + model.intercept
    scored = model.transform(df.drop("w", "o"))
    assert scored.columns == ["features", "label", "rawPrediction", "prediction"]
    rows = scored.collect()
    raw = np.array([row.rawPrediction.toArray() for row in rows])
    np.testing.assert_allclose(raw, np.column_stack([-margin, margin]), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal([row.prediction for row in rows], margin > 0.0)
    first = Vectors.dense(FEATURES[0])
    assert model.predict(first) == rows[0].prediction
    np.testing.assert_allclose(model.predictRaw(first), raw[0])


@pytest.mark.parametrize("threshold", [-0.7, 0.0, 1.3, float("inf")])
def test_the_threshold_is_on_the_margin(df, model, threshold):
    margin = FEATURES @ model.coefficients.toArray() + model.intercept
    for offset, name in ((0.0, None), (OFFSET, "o")):
        other = model.copy().setThreshold(threshold)
        other = other if name is None else other.setOffsetCol(name)
        found = np.array([row.prediction for row in other.transform(df).select("prediction").collect()])
        np.testing.assert_array_equal(found, margin + offset > threshold)


def test_saves_and_loads(df, model, tmp_path: Path):
    path = str(tmp_path / "svc")
    model.copy().setThreshold(0.4).save(path)
    loaded = LinearSVCModel.load(path)
    assert loaded.getThreshold() == 0.4
    assert loaded.summary().totalRounds == model.summary().totalRounds
    assert sorted(df.sparkSession.read.parquet(f"{path}/data").columns) == ["coefficients", "intercept"]
    assert_df_equality(loaded.transform(df), model.copy().setThreshold(0.4).transform(df))


def test_works_in_a_pipeline(df, model, tmp_path: Path):
    fitted = Pipeline(stages=[LinearSVC(regParam=0.01, weightCol="w")]).fit(df)
    fitted.save(str(tmp_path / "pipeline"))
    loaded = PipelineModel.load(str(tmp_path / "pipeline")).stages[0]
    np.testing.assert_array_equal(loaded.coefficients, model.coefficients)
    assert (loaded.numClasses, loaded.numFeatures) == (2, FEATURES.shape[1])


def test_a_warm_start_at_the_optimum_stays_there(df, model):
    start = {"initialCoefficients": model.coefficients, "initialIntercept": model.intercept}
    again = LinearSVC(regParam=0.01, weightCol="w", **start).fit(df)
    assert again.summary.objectiveHistory[0] == pytest.approx(model.summary.objective, rel=1e-9)
    assert again.summary.objective <= model.summary.objective
    assert again.summary.objectiveHistory == sorted(again.summary.objectiveHistory, reverse=True)


def test_refuses_what_it_cannot_use(df):
    with pytest.raises(IncompatibleError, match=r"hinge loss is not differentiable\. Solvers that work: .*'newton'"):
        LinearSVC(solver="gd").fit(df)
    with pytest.raises(InvalidParamError, match="threshold=nan"):
        LinearSVC(threshold=float("nan")).fit(df)
    with pytest.raises(InvalidDataError, match="label"):
        LinearSVC().fit(df.withColumn("label", df.label + 1.0))
