"""One model that fails never loses the search: it is recorded with its reason, and its map does not win."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import ConvergenceWarning, IncompatibleError, InvalidDataError
from sparkgd.regression import LinearRegression
from tests.support.leftovers import nothing_left
from tests.support.tuning import cross_validator, grid_of, split_validator

each_validator = pytest.mark.parametrize("validator", [cross_validator, split_validator])


def metrics_of(found) -> list[float]:
    return found.avgMetrics if hasattr(found, "avgMetrics") else found.validationMetrics


def rmse():
    return RegressionEvaluator(labelCol="number")


def log_loss(**params):
    return MulticlassClassificationEvaluator(metricName="logLoss", **params)


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@each_validator
def test_steps_that_diverge_are_recorded_and_never_win(spark, rows, validator):
    estimator = LinearRegression(labelCol="number", solver="gd", standardization=True, maxIter=400, tol=0.0)
    maps = grid_of(estimator, stepSize=[1e6, 0.1, 0.01])
    search = validator(estimator, maps, rmse(), collectSubModels=True)
    with nothing_left(spark), pytest.warns(ConvergenceWarning, match="1 diverged|2 diverged"):
        found = search.fit(rows)
    assert np.isnan(metrics_of(found)[0])
    assert np.isfinite(metrics_of(found)[1:]).all()
    assert found.bestModel.getStepSize() == maps[int(np.nanargmin(metrics_of(found)))][estimator.stepSize] < 1.0
    diverged = found.results.query("map == 0")
    assert set(diverged["status"]) == {"diverged"}
    assert all(diverged["reason"].str.len() > 10)
    assert all(diverged["metric"].isna())
    assert all(diverged["rounds"] < 400)


@each_validator
def test_a_map_that_is_refused_before_any_row_is_read_is_recorded(spark, rows, validator):
    estimator = LogisticRegression(elasticNetParam=0.5, regParam=0.1)
    maps = grid_of(estimator, solver=["newton", "localSGD", "auto"])
    with nothing_left(spark), pytest.warns(ConvergenceWarning, match="refused"):
        found = validator(estimator, maps, log_loss()).fit(rows)
    is_refused = np.isnan(metrics_of(found))
    assert list(is_refused) == [False, True, False]
    refused = found.results.query("map == 1")
    assert set(refused["status"]) == {"refused"}
    assert all(refused["reason"].str.contains("solver='localSGD' cannot be used"))
    assert len(found.results) == 3 * found.results["fold"].nunique()
    assert list(refused["solver"].unique()) == ["localSGD"]
    assert found.bestModel.getSolver() in ("newton", "auto")


def test_maps_whose_columns_are_missing_leave_the_others(spark, rows):
    estimator = LogisticRegression(regParam=0.1)
    maps = grid_of(estimator, featuresCol=["nowhere", "features"])
    with nothing_left(spark), pytest.warns(ConvergenceWarning, match="2 refused"):
        found = cross_validator(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    assert list(np.isnan(found.avgMetrics)) == [True, False]
    assert found.bestModel.getFeaturesCol() == "features"
    assert all(found.results.query("map == 0")["reason"].str.contains("featuresCol='nowhere' does not exist"))
    assert [[model is None for model in fold] for fold in found.subModels] == [[True, False]] * 2


@pytest.mark.parametrize("is_stock_like", [False, True], ids=["together", "one by one"])
def test_a_search_in_which_all_maps_fail_says_why(spark, rows, is_stock_like):
    way = {"classWeight": "balanced"} if is_stock_like else {}
    estimator = LogisticRegression(elasticNetParam=0.5, solver="localSGD", **way)
    with nothing_left(spark), pytest.raises(IncompatibleError, match="solver='localSGD' cannot be used"):
        cross_validator(estimator, grid_of(estimator, regParam=[0.1, 1.0]), log_loss()).fit(rows)


def test_a_search_in_which_all_maps_diverge_says_so(spark, rows):
    estimator = LinearRegression(labelCol="number", solver="gd", standardization=True, maxIter=400, tol=0.0)
    maps = grid_of(estimator, stepSize=[1e6, 1e7])
    message = "no param map has a metric in every fold; map 0 in fold 0 was diverged: "
    with nothing_left(spark), pytest.raises(InvalidDataError, match=message):
        cross_validator(estimator, maps, rmse()).fit(rows)


def test_an_evaluator_of_two_classes_refuses_three(spark, rows):
    estimator = LogisticRegression(labelCol="class")
    with nothing_left(spark), pytest.raises(IncompatibleError, match="areaUnderROC is a metric of two classes"):
        cross_validator(estimator, [{}], BinaryClassificationEvaluator(labelCol="class")).fit(rows)


def test_rows_that_cannot_be_trained_on_are_refused_by_column(spark, rows):
    wrong = rows.withColumn("number", F.when(F.col("a") > 0.0, F.col("number")))
    estimator = LinearRegression(labelCol="number")
    with nothing_left(spark), pytest.raises(InvalidDataError, match=r"column 'number': [0-9]+ rows with values that"):
        cross_validator(estimator, grid_of(estimator, regParam=[0.1, 1.0]), rmse()).fit(wrong)


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConstantLabelWarning")
def test_a_fold_may_hold_all_rows_of_a_class(spark, rows):
    """Without it the label is constant, which decides the model."""
    df = rows.withColumn("mine", F.when(F.col("label") == 1.0, 0).otherwise(F.col("fold").cast("int")))
    estimator = LogisticRegression(tol=1e-10)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    with nothing_left(spark):
        found = cross_validator(estimator, maps, accuracy, foldCol="mine").fit(df)
    expected = cross_validator(estimator, maps, accuracy, is_stock=True, foldCol="mine").fit(df)
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-12)
    assert set(found.results.query("fold == 0")["solver"]) == {"none"}
    assert set(found.results["status"]) == {"converged"}
    assert found.bestModel.summary.solver != "none"


def test_a_fold_may_hold_all_rows_of_one_of_three_classes(spark, rows):
    df = rows.withColumn("mine", F.when(F.col("class") == 2.0, 0).otherwise(F.col("fold").cast("int")))
    estimator = LogisticRegression(labelCol="class", regParam=0.01)
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy", labelCol="class")
    with nothing_left(spark):
        found = cross_validator(estimator, [{}], accuracy, foldCol="mine", collectSubModels=True).fit(df)
    first = found.subModels[0][0]
    assert first.numClasses == found.bestModel.numClasses == 3
    predicted = {row.prediction for row in first.transform(df.where("class = 2")).select("prediction").collect()}
    assert 2.0 not in predicted
    assert 0.0 < found.results["metric"][0] < found.results["metric"][1]
    assert list(found.results["status"]) == ["converged", "converged"]


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConstantLabelWarning")
def test_a_label_that_is_constant_everywhere_has_the_model_that_it_decides(spark, rows):
    df = rows.withColumn("label", F.lit(1.0))
    estimator = LogisticRegression()
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    with nothing_left(spark):
        found = cross_validator(estimator, maps, accuracy).fit(df)
    assert found.avgMetrics == [1.0, 1.0]
    assert found.bestModel.getRegParam() == 0.01
    assert not np.any(found.bestModel.coefficients.toArray())


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
def test_models_that_a_time_limit_ends_are_judged_all_the_same(rows):
    estimator = LogisticRegression(maxSeconds=1e-9)
    found = cross_validator(estimator, grid_of(estimator, regParam=[0.01, 1.0]), log_loss()).fit(rows)
    assert np.isfinite(found.avgMetrics).all()
    assert set(found.results["status"]) == {"time budget"}
    assert all(found.results["reason"].str.contains("maxSeconds"))


def test_models_of_few_iterations_are_warned_of_once(rows):
    estimator = LogisticRegression(solver="gd", maxIter=2, tol=1e-12)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    with pytest.warns(ConvergenceWarning) as warned:
        found = cross_validator(estimator, maps, log_loss()).fit(rows)
    messages = [str(each.message) for each in warned if "models" in str(each.message)]
    assert messages == ["CrossValidator: 4 of 4 models did not converge (4 max iterations); see the model's results"]
    assert set(found.results["iterations"]) == {2}


@pytest.mark.parametrize("place", ["in a round", "before one"])
def test_an_interrupt_ends_the_search_and_leaves_nothing(spark, rows, place):
    def interrupt(record):
        if record.round > (2 if place == "in a round" else 0):
            raise KeyboardInterrupt

    estimator = LogisticRegression(tol=1e-12).setCallbacks([interrupt])
    with nothing_left(spark), pytest.raises(KeyboardInterrupt):
        cross_validator(estimator, grid_of(estimator, regParam=[0.01, 1.0]), log_loss()).fit(rows)


def test_callbacks_end_models_which_are_judged_as_they_are(rows):
    stopped = LogisticRegression(solver="l-bfgs", tol=1e-12).setCallbacks([lambda record: record.iteration >= 1])
    found = cross_validator(stopped, grid_of(stopped, regParam=[0.01, 1.0]), log_loss()).fit(rows)
    assert set(found.results["status"]) == {"stopped early"}
    assert np.isfinite(found.avgMetrics).all()
