"""Searches that retire maps: who goes on has the bits of a search of all, and who does not never wins."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import ConvergenceWarning, InvalidParamError
from sparkgd.ml import model_fits
from sparkgd.regression import LinearRegression
from sparkgd.tuning import CrossValidator, TrainValidationSplit
from tests.support.leftovers import nothing_left
from tests.support.tuning import cross_validator, grid_of, split_validator

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

each_validator = pytest.mark.parametrize("validator", [cross_validator, split_validator])

STEPS = [1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0, 0.3]
SOLVERS = {"gd": {}, "sgd": {"batchSize": 20}, "nesterov": {}, "localSGD": {}}


def log_loss(**params):
    return MulticlassClassificationEvaluator(metricName="logLoss", **params)


def stepper(solver="gd", **params) -> LogisticRegression:
    return LogisticRegression(**{"solver": solver, "maxIter": 12, "tol": 0.0, "standardization": True} | params)


def metrics_of(found) -> list[float]:
    return found.avgMetrics if hasattr(found, "avgMetrics") else found.validationMetrics


def retired(found) -> set[int]:
    """The maps that are."""
    return set(found.results.query("status == 'retired'")["map"])


def trials(found) -> pd.DataFrame:
    return found.results.drop(columns="seconds")


@pytest.mark.smoke
@each_validator
@pytest.mark.parametrize("solver", SOLVERS)
def test_maps_that_go_on_have_the_bits_of_a_search_of_all(spark, rows, solver, validator):
    estimator = stepper(solver, **SOLVERS[solver])
    maps = grid_of(estimator, stepSize=STEPS)
    plain = validator(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    with nothing_left(spark):
        found = validator(estimator, maps, log_loss(), collectSubModels=True, halvingFactor=2.0).fit(rows)
    counts = found.results.query("status == 'retired'")["iterations"].value_counts() / found.results["fold"].nunique()
    assert counts.to_dict() == {3: 3.0, 6: 2.0}, "of 7 maps 4 go on, of these 2"
    left = [number for number in range(7) if number not in retired(found)]
    kept, alike = found.results["map"].isin(left), ["status", "reason", "iterations", "metric"]
    pd.testing.assert_frame_equal(found.results[kept][alike], plain.results[kept][alike], check_exact=True)
    assert [metrics_of(found)[number] for number in left] == [metrics_of(plain)[number] for number in left]
    for mine, other in zip(np.ravel(found.subModels), np.ravel(plain.subModels), strict=True):
        if mine.summary.status != "retired":
            assert mine.coefficients == other.coefficients
            assert mine.summary.objectiveHistory == other.summary.objectiveHistory
    best = min(left, key=lambda number: metrics_of(plain)[number])
    assert found.bestModel.getStepSize() == STEPS[best]
    if best == int(np.argmin(metrics_of(plain))):
        assert found.bestModel.coefficients == plain.bestModel.coefficients


def test_a_retired_map_has_the_metric_and_rank_of_its_time(rows):
    estimator = stepper()
    maps = grid_of(estimator, stepSize=STEPS)
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0, collectSubModels=True).fit(rows)
    short = cross_validator(estimator, [{**each, estimator.maxIter: 3} for each in maps], log_loss()).fit(rows)
    order = list(np.argsort(short.avgMetrics, kind="stable"))
    first = found.results.query("iterations == 3")
    assert set(first["map"]) == set(order[4:])
    assert set(first["status"]) == {"retired"}
    for number in order[4:]:
        reasons = set(first.query("map == @number")["reason"])
        assert reasons == {f"retired after 3 iterations: rank {order.index(number) + 1} of 7"}
        assert found.avgMetrics[number] == pytest.approx(short.avgMetrics[number], rel=1e-12)
        assert found.subModels[1][number].summary.status == "retired"
        assert found.subModels[1][number].summary.totalIterations == 3
    assert all(
        found.results.query("iterations == 6")["reason"].str.match(r"retired after 6 iterations: rank [34] of 4")
    )


@each_validator
def test_a_metric_may_be_maximised(rows, validator):
    estimator = LogisticRegression(solver="gd", maxIter=9, tol=0.0)
    maps = grid_of(estimator, regParam=[1e-3, 0.1, 10.0, 1e3], threshold=[0.5])
    found = validator(estimator, maps, BinaryClassificationEvaluator(), halvingFactor=3.0).fit(rows)
    short = validator(estimator.copy({estimator.maxIter: 3}), maps, BinaryClassificationEvaluator()).fit(rows)
    order = np.argsort(-np.array(metrics_of(short)), kind="stable")
    assert retired(found) == {int(number) for number in order[2:]}


def test_maps_that_diverge_are_last(rows):
    estimator = LinearRegression(labelCol="number", solver="gd", standardization=True, maxIter=400, tol=0.0)
    maps = grid_of(estimator, stepSize=[1e6, 1e7, 0.1, 1e8])
    with pytest.warns(ConvergenceWarning, match="diverged"):
        found = cross_validator(
            estimator, maps, RegressionEvaluator(labelCol="number"), halvingFactor=3.0, halvingMinIter=200
        ).fit(rows)
    assert np.isnan(found.avgMetrics).tolist() == [True, True, False, True]
    assert found.bestModel.getStepSize() == 0.1
    assert retired(found) == set()


def test_where_those_who_went_on_all_diverge_a_retired_map_wins(rows):
    """Here by a metric that favours them."""

    class Judge(RegressionEvaluator):
        def isLargerBetter(self):
            return True

    estimator = LinearRegression(labelCol="number", solver="gd", standardization=True, maxIter=2000, tol=0.0)
    maps = grid_of(estimator, stepSize=[1e-4, 6.0, 7.0])
    found = cross_validator(estimator, maps, Judge(labelCol="number"), halvingFactor=2.0, halvingMinIter=2).fit(rows)
    assert set(found.results.query("map != 0")["status"]) == {"diverged"}
    assert retired(found) == {0}
    assert found.bestModel.getStepSize() == 1e-4


EARLY = {"converged": {"solver": "l-bfgs", "maxIter": 1000}, "automatic": {"solver": "auto"}}


@pytest.mark.parametrize("kind", EARLY)
def test_models_that_end_before_the_first_rung_are_just_judged(rows, kind):
    estimator = LogisticRegression(**EARLY[kind])
    maps = grid_of(estimator, regParam=[1e-3, 0.1, 1.0, 10.0])
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=3.0).fit(rows)
    plain = cross_validator(estimator, maps, log_loss()).fit(rows)
    assert set(found.results["status"]) == {"converged"}
    assert found.avgMetrics == plain.avgMetrics
    pd.testing.assert_frame_equal(trials(found), trials(plain))


def test_models_that_have_converged_compete_with_those_that_have_not(rows):
    """Their maps are not retired, whatever their rank."""
    estimator = stepper(maxIter=40)
    maps = [{estimator.stepSize: step} for step in STEPS[:3]]
    maps += [{estimator.solver: "l-bfgs", estimator.tol: 1e-3, estimator.regParam: reg} for reg in (1.0, 1e3)]
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0, halvingMinIter=12).fit(rows)
    assert set(found.results.query("map >= 3")["status"]) == {"converged"}
    assert retired(found) <= {0, 1, 2}
    assert 0 in retired(found)


@pytest.mark.parametrize("maps", [1, 2])
def test_few_maps_are_searched_in_full(rows, maps):
    estimator = stepper()
    grid = grid_of(estimator, stepSize=STEPS[:maps])
    found = cross_validator(estimator, grid, log_loss(), halvingFactor=2.0).fit(rows)
    plain = cross_validator(estimator, grid, log_loss()).fit(rows)
    pd.testing.assert_frame_equal(trials(found), trials(plain))


class OwnEvaluator(MulticlassClassificationEvaluator):
    """One whose metric the packed rows cannot tell."""


def test_an_evaluator_of_ones_own_scores_rows_at_every_rung(rows):
    estimator = stepper()
    maps = grid_of(estimator, stepSize=STEPS[:4])
    own, known = (
        cross_validator(estimator, maps, kind(metricName="logLoss"), halvingFactor=2.0).fit(rows)
        for kind in (OwnEvaluator, MulticlassClassificationEvaluator)
    )
    np.testing.assert_allclose(own.avgMetrics, known.avgMetrics, rtol=1e-9)
    assert list(own.results["reason"]) == list(known.results["reason"])


def test_a_search_in_waves_compares_the_maps_of_all(rows, monkeypatch):
    estimator = stepper()
    maps = grid_of(estimator, stepSize=STEPS)
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0).fit(rows)
    monkeypatch.setattr(model_fits, "WAVE_NUMBERS", 60)
    waves = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0).fit(rows)
    pd.testing.assert_frame_equal(trials(waves), trials(found))


def test_maps_that_are_packed_apart_are_compared_apart(rows):
    estimator = stepper(featuresCols=["a", "b"])
    maps = grid_of(estimator, featuresCols=[["a"], ["a", "c"]], stepSize=STEPS[:3])
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0).fit(rows)
    assert {tuple(each) for each in found.results.query("status == 'retired'")["featuresCols"]} == {("a",), ("a", "c")}
    reasons = found.results.query("status == 'retired'")["reason"]
    assert set(reasons) == {"retired after 6 iterations: rank 3 of 3"}
    assert found.bestModel.getFeaturesCols() == ["a", "c"]


def test_stages_that_learn_nothing_are_no_obstacle(rows):
    assembler, last = VectorAssembler(inputCols=["a", "c"], outputCol="both"), stepper(featuresCol="both")
    pipeline, maps = Pipeline(stages=[assembler, last]), grid_of(last, stepSize=STEPS[:3])
    found = cross_validator(pipeline, maps, log_loss(), halvingFactor=2.0).fit(rows)
    assert len(retired(found)) == 1
    assert found.bestModel.stages[-1].summary.totalIterations == 12


def test_stages_that_learn_are_refused_for_folds_and_not_for_one_split(spark, rows):
    scaler, last = StandardScaler(inputCol="features", outputCol="scaled"), stepper(featuresCol="scaled")
    pipeline, maps = Pipeline(stages=[scaler, last]), grid_of(last, stepSize=STEPS[:3])
    with nothing_left(spark), pytest.raises(InvalidParamError, match="learn from each fold's rows; fit them before"):
        cross_validator(pipeline, maps, log_loss(), halvingFactor=2.0).fit(rows)
    found = split_validator(pipeline, maps, log_loss(), halvingFactor=2.0).fit(rows)
    assert len(retired(found)) == 1


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier,
        lambda: stepper(classWeight="balanced"),
        lambda: stepper(validationIndicatorCol="valid"),
    ],
    ids=["of others", "balanced", "validation"],
)
def test_models_that_are_trained_fold_by_fold_are_refused_before_any_work(spark, rows, estimator):
    df = rows.withColumn("valid", F.raise_error(F.lit("a row was read")).cast("boolean"))
    with nothing_left(spark), pytest.raises(InvalidParamError, match="halvingFactor compares maps over folds that are"):
        cross_validator(estimator(), [{}, {}, {}], log_loss(), halvingFactor=2.0).fit(df)


@pytest.mark.parametrize("cls", [CrossValidator, TrainValidationSplit])
def test_they_are_params_like_the_others(rows, cls):
    validator = cls(seed=3, halvingFactor=3, halvingMinIter=2)
    assert (validator.getHalvingFactor(), validator.getHalvingMinIter()) == (3.0, 2)
    assert not cls().isDefined("halvingFactor")
    assert not cls(halvingFactor=None).isDefined("halvingFactor")
    assert validator.setParams(halvingFactor=2.5).getHalvingFactor() == 2.5
    assert validator.setHalvingFactor(4.0).setHalvingMinIter(1) is validator
    assert "halvingFactor" in validator.explainParams()
    estimator = stepper()
    validator = cls(estimator=estimator, estimatorParamMaps=[{}], evaluator=log_loss())
    for params, message in {
        (("halvingFactor", 1.0),): "halvingFactor=1 must be greater than 1 and finite",
        (("halvingFactor", float("nan")),): "halvingFactor=nan must be greater than 1",
        (("halvingFactor", 2.0), ("halvingMinIter", 0)): "halvingMinIter=0 must be at least 1",
        (("halvingMinIter", 3),): "halvingMinIter is of use only with halvingFactor",
    }.items():
        with pytest.raises(InvalidParamError, match=message):
            validator.copy({validator.getParam(name): value for name, value in params}).fit(rows)


@each_validator
def test_validator_and_model_are_saved_and_loaded(rows, tmp_path, validator):
    estimator = stepper()
    search = validator(estimator, grid_of(estimator, stepSize=STEPS[:3]), log_loss(), halvingFactor=2.0)
    search.save(str(tmp_path / "validator"))
    loaded = type(search).load(str(tmp_path / "validator"))
    assert loaded.getHalvingFactor() == 2.0
    assert not loaded.isDefined("halvingMinIter")
    assert search.copy().getHalvingFactor() == 2.0
    found = search.fit(rows)
    pd.testing.assert_frame_equal(trials(loaded.fit(rows)), trials(found))
    found.save(str(tmp_path / "model"))
    again = type(found).load(str(tmp_path / "model"))
    pd.testing.assert_frame_equal(again.results, found.results)
    assert metrics_of(again) == metrics_of(found)


def test_driver_and_threads_find_the_same_and_executors_too(rows):
    estimator = stepper("sgd", batchSize=20)
    maps = grid_of(estimator, stepSize=STEPS[:5])
    search = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0)
    expected, found = search.fit(rows), list[pd.DataFrame]()
    threads = [threading.Thread(target=lambda: found.append(trials(search.fit(rows)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        pd.testing.assert_frame_equal(each, trials(expected))
    there, here = (
        search.copy({search.estimator: estimator.copy({estimator.execution: where})}).fit(rows)
        for where in ("cluster", "driver")
    )
    pd.testing.assert_frame_equal(trials(there), trials(here), check_exact=False, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConstantLabelWarning")
def test_a_fold_whose_model_the_label_decides_counts(rows):
    df = rows.withColumn("mine", F.when(F.col("label") == 1.0, 0).otherwise(F.col("fold").cast("int")))
    estimator = stepper()
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    maps = grid_of(estimator, stepSize=STEPS[:3])
    found = cross_validator(estimator, maps, accuracy, foldCol="mine", halvingFactor=2.0).fit(df)
    assert set(found.results.query("fold == 0")["status"]) == {"converged"}
    assert len(found.results.query("fold == 1 and status == 'retired'")) == 1
    assert found.bestModel.getStepSize() != STEPS[retired(found).pop()]


def test_the_time_budget_ends_all(rows):
    estimator = stepper(maxSeconds=1e-9)
    maps = grid_of(estimator, stepSize=STEPS[:3])
    found = cross_validator(estimator, maps, log_loss(), halvingFactor=2.0).fit(rows)
    assert set(found.results["status"]) == {"time budget"}
    assert np.isfinite(found.avgMetrics).all()
