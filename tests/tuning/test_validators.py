"""What validators share and what they do not: pipelines, other estimators and evaluators, groups, bits, sub-models."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.classification import LogisticRegression as StockLogisticRegression
from pyspark.ml.evaluation import (
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.ml.feature import PCA, StandardScaler, VectorAssembler
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.ml import model_fits
from sparkgd.regression import LinearRegression
from sparkgd.tuning import CrossValidator, TrainValidationSplit, validators
from tests.support.leftovers import nothing_left
from tests.support.tuning import cross_validator, grid_of, split_validator


@pytest.fixture
def together(monkeypatch):
    """Counts searches whose models share the rows."""
    return counted(monkeypatch, validators.SharedValidator, "_together")


@pytest.fixture
def scored(monkeypatch):
    """Counts metrics by ``transform`` and ``evaluate``."""
    return counted(monkeypatch, validators, "_judged")


def counted(monkeypatch, owner, name) -> list:
    genuine, calls = getattr(owner, name), []

    def counting(*args, **options):
        calls.append(name)
        return genuine(*args, **options)

    monkeypatch.setattr(owner, name, counting)
    return calls


def log_loss(**params):
    return MulticlassClassificationEvaluator(metricName="logLoss", **params)


class OwnEvaluator(MulticlassClassificationEvaluator):
    """One that may do anything; what it does is what its base does."""


def test_an_unknown_evaluator_scores_rows_with_the_same_result(spark, rows, together, scored):
    estimator = LogisticRegression(regParam=0.1)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    known = cross_validator(estimator, maps, log_loss()).fit(rows)
    assert (len(together), len(scored)) == (1, 0)
    with nothing_left(spark):
        found = cross_validator(estimator, maps, OwnEvaluator(metricName="logLoss")).fit(rows)
    assert (len(together), len(scored)) == (2, 4)
    np.testing.assert_allclose(found.avgMetrics, known.avgMetrics, rtol=1e-12)
    np.testing.assert_array_equal(found.bestModel.coefficients, known.bestModel.coefficients)


def test_leads_of_a_large_grid_are_trained_in_waves_too(rows, monkeypatch):
    monkeypatch.setattr("sparkgd.training.auto.NEWTON_SIZE", 1)  # leads by l-bfgs are trained side by side
    estimator, genuine = LogisticRegression(), model_fits.findings
    maps = grid_of(estimator, regParam=[0.01, 0.1, 1.0])
    together: list[int] = []

    def counting(data, plans, *options):
        together.append(len(plans))
        return genuine(data, plans, *options)

    monkeypatch.setattr(model_fits, "findings", counting)
    expected = cross_validator(estimator, maps, log_loss()).fit(rows)
    assert together == [3]
    monkeypatch.setattr(model_fits, "WAVE_NUMBERS", 1)
    found = cross_validator(estimator, maps, log_loss()).fit(rows)
    assert together == [3, 1, 1, 1]
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-6)


def test_an_estimator_of_others_is_trained_as_pyspark_does(spark, rows, together):
    estimator = DecisionTreeClassifier(seed=1)
    maps = grid_of(estimator, maxDepth=[1, 3])
    with nothing_left(spark):
        found = cross_validator(estimator, maps, log_loss(), parallelism=2, collectSubModels=True).fit(rows)
    expected = cross_validator(estimator, maps, log_loss(), is_stock=True).fit(rows)
    assert not together
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-12)
    np.testing.assert_allclose(found.stdMetrics, expected.stdMetrics, rtol=1e-9)
    assert found.bestModel.toDebugString == expected.bestModel.toDebugString
    assert [[model.depth for model in fold] for fold in found.subModels] == [[1, 3], [1, 3]]
    assert list(found.results["status"]) == [""] * 4


@pytest.mark.parametrize(
    "params",
    [{"classWeight": "balanced"}, {"validationIndicatorCol": "is_validated"}],
    ids=["balanced classes", "validation rows"],
)
def test_models_that_cannot_share_rows_are_trained_fold_by_fold(spark, rows, together, params):
    df = rows.withColumn("is_validated", F.col("a") > 1.0)
    estimator = LogisticRegression(tol=1e-10, **params)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    with nothing_left(spark):
        found = cross_validator(estimator, maps, log_loss()).fit(df)
    expected = cross_validator(estimator, maps, log_loss(), is_stock=True).fit(df)
    assert not together
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-6)
    assert set(found.results["status"]) <= {"converged", "stopped early"}


def pipeline(*head, **params) -> Pipeline:
    return Pipeline(stages=[*head, LogisticRegression(featuresCol=head[-1].getOutputCol(), tol=1e-10, **params)])


def test_feature_stages_that_learn_are_fitted_to_the_training_rows_of_each_fold(spark, rows, together, scored):
    scaler = StandardScaler(inputCol="features", outputCol="scaled", withMean=True)
    reducer = PCA(inputCol="scaled", outputCol="reduced", k=1)
    estimator = pipeline(scaler, reducer)
    last = estimator.getStages()[-1]
    maps = [a | b for a in grid_of(reducer, k=[1, 2]) for b in grid_of(last, regParam=[0.01, 1.0])]
    with nothing_left(spark):
        found = cross_validator(estimator, maps, log_loss()).fit(rows)
    expected = cross_validator(estimator, maps, log_loss(), is_stock=True).fit(rows)
    assert (len(together), len(scored)) == (1, 0)
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-6)
    assert found.bestModel.stages[1].getK() == expected.bestModel.stages[1].getK()
    models = [each.bestModel.stages[-1] for each in (found, expected)]
    assert models[0].getRegParam() == models[1].getRegParam()
    np.testing.assert_allclose(models[0].coefficients, models[1].coefficients, rtol=1e-5)
    assert found.transform(rows).columns == expected.transform(rows).columns
    assert list(found.results.columns[2:4]) == ["k", "regParam"]


def test_feature_stages_that_learn_nothing_are_no_reason_to_repeat_anything(rows, together, monkeypatch):
    packings = counted(monkeypatch, validators.SharedValidator, "_search")
    assembler = VectorAssembler(inputCols=["a", "b", "c"], outputCol="assembled")
    estimator = pipeline(assembler)
    maps = grid_of(estimator.getStages()[-1], regParam=[0.01, 1.0])
    found = cross_validator(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    expected = cross_validator(last := LogisticRegression(tol=1e-10), grid_of(last, regParam=[0.01, 1.0]), log_loss())
    expected = expected.fit(rows)
    assert (len(together), len(packings)) == (2, 2)
    np.testing.assert_allclose(found.avgMetrics, expected.avgMetrics, rtol=1e-6)
    np.testing.assert_allclose(found.bestModel.stages[-1].coefficients, expected.bestModel.coefficients, rtol=1e-6)
    sub_model = found.subModels[1][0]
    held_out = sub_model.transform(rows.limit(5))
    assert {"assembled", "prediction"} <= set(held_out.columns)


def stock_twin(estimator):
    """pyspark's logistic regression with the same params."""
    names = ("tol", "regParam", "featuresCol")
    return StockLogisticRegression(**{name: estimator.getOrDefault(name) for name in names})


def test_collected_sub_models_are_those_of_separate_fits(rows):
    estimator = LogisticRegression(tol=1e-10)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    validator = cross_validator(estimator, maps, log_loss(), foldCol="fold", collectSubModels=True)
    found = validator.fit(rows)
    for fold, models in enumerate(found.subModels):
        train, held_out = rows.where(F.col("fold") != fold), rows.where(F.col("fold") == fold)
        for number, (model, params) in enumerate(zip(models, maps, strict=True)):
            assert model.uid == estimator.uid
            assert model.getRegParam() == params[estimator.regParam]
            np.testing.assert_allclose(model.coefficients, estimator.fit(train, params).coefficients, rtol=1e-5)
            of_fold = found.results.query(f"fold == {fold} and map == {number}")
            assert log_loss().evaluate(model.transform(held_out)) == pytest.approx(of_fold["metric"].item(), rel=1e-9)
    assert validator.setCollectSubModels(False).fit(rows).subModels is None


@pytest.mark.parametrize("is_pipeline", [False, True], ids=["alone", "pipeline"])
def test_summaries_of_sub_models_know_the_rows_of_their_folds_as_pysparks_do(rows, is_pipeline):
    estimator = LogisticRegression(tol=1e-10, regParam=0.01)
    scaler = StandardScaler(inputCol="features", outputCol="scaled")
    last = estimator.copy({estimator.featuresCol: "scaled"}) if is_pipeline else estimator
    ours, theirs = (
        cross_validator(
            Pipeline(stages=[scaler, each]) if is_pipeline else each, [{}], log_loss(), is_stock,
            foldCol="fold", collectSubModels=True,
        ).fit(rows.withColumn("fold", F.col("fold").cast("int")))
        for each, is_stock in ((last, False), (stock_twin(last), True))
    )  # fmt: skip
    for fold in range(2):
        mine, other = ours.subModels[fold][0], theirs.subModels[fold][0]
        mine, other = (each.stages[-1] if is_pipeline else each for each in (mine, other))
        assert mine.hasSummary
        assert mine.summary.predictions.count() == rows.where(F.col("fold") != fold).count()
        assert mine.summary.accuracy == other.summary.accuracy
        assert mine.summary.areaUnderROC == pytest.approx(other.summary.areaUnderROC, rel=1e-9)
        assert mine.summary.status == "converged"
        assert (
            mine.featureNames == ours.bestModel.stages[-1].featureNames if is_pipeline else ours.bestModel.featureNames
        )


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
def test_sub_models_of_maps_that_were_retired_have_their_summaries_too(rows):
    estimator = LogisticRegression(solver="gd", maxIter=6, tol=0.0)
    maps = grid_of(estimator, stepSize=[1e-3, 0.1, 1.0])
    found = cross_validator(estimator, maps, log_loss(), collectSubModels=True, halvingFactor=2.0).fit(rows)
    models = [model for fold in found.subModels for model in fold]
    assert {model.summary.status for model in models} == {"retired", "max iterations"}
    assert all(0.0 < model.summary.accuracy <= 1.0 for model in models)


def test_a_split_collects_one_model_for_each_map(rows):
    estimator = LogisticRegression()
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    found = split_validator(estimator, maps, log_loss(), collectSubModels=True, stratify=True).fit(rows)
    assert [model.getRegParam() for model in found.subModels] == [0.01, 1.0]


def test_maps_that_read_other_columns_are_packed_one_group_after_the_other(spark, rows, together):
    df = rows.withColumn("others", F.array("a", "b"))
    estimator = LogisticRegression(tol=1e-10)
    maps = grid_of(estimator, featuresCol=["others", "features"], regParam=[0.01, 1.0])
    with nothing_left(spark):
        found = cross_validator(estimator, maps, log_loss()).fit(df)
    assert together == ["_together"]
    for name, metrics in (("others", found.avgMetrics[:2]), ("features", found.avgMetrics[2:])):
        alone = estimator.copy({estimator.featuresCol: name})
        expected = cross_validator(alone, grid_of(alone, regParam=[0.01, 1.0]), log_loss()).fit(df)
        np.testing.assert_allclose(metrics, expected.avgMetrics, rtol=1e-6)
    best = maps[int(np.argmin(found.avgMetrics))]
    assert found.bestModel.getFeaturesCol() == best[estimator.featuresCol]
    expected = estimator.fit(df, best)
    np.testing.assert_allclose(found.bestModel.coefficients, expected.coefficients, rtol=1e-5)


@pytest.mark.parametrize("parallelism", [1, 4])
def test_pysparks_own_validator_trains_all_maps_of_a_fold_together(spark, rows, parallelism):
    df = rows.withColumn("others", F.array("a", "b"))
    estimator = LogisticRegression(tol=1e-10)
    maps = grid_of(estimator, featuresCol=["others", "features"], regParam=[0.01, 1.0])
    mine = cross_validator(estimator, maps, log_loss()).fit(df)
    with nothing_left(spark):
        stock = cross_validator(estimator, maps, log_loss(), is_stock=True, parallelism=parallelism).fit(df)
    np.testing.assert_allclose(stock.avgMetrics, mine.avgMetrics, rtol=1e-6)


def numbers_of(found) -> tuple:
    """All numbers of a search."""
    sub_models = [[[*model.coefficients, model.intercept] for model in fold] for fold in found.subModels]
    return found.avgMetrics, found.stdMetrics, sub_models, [*found.bestModel.coefficients, found.bestModel.intercept]


STEPS = {"gd": {}, "sgd": {"batchSize": 20}, "localSGD": {}}


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", STEPS)
def test_named_solvers_take_the_same_steps_in_company_to_the_last_bit(rows, solver):
    estimator = LogisticRegression(maxIter=4, tol=0.0, solver=solver, **STEPS[solver])
    maps = grid_of(estimator, stepSize=[0.05, 0.5])
    alone = [numbers_of(cross_validator(estimator, [params], log_loss(), collectSubModels=True).fit(rows))
             for params in maps]  # fmt: skip
    both = cross_validator(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    averages, deviations, sub_models, best = numbers_of(both)
    assert averages == [each for found in alone for each in found[0]]
    assert deviations == [each for found in alone for each in found[1]]
    assert sub_models == [[found[2][fold][0] for found in alone] for fold in range(2)]
    assert best == alone[int(np.argmin(averages))][3]
    # Statistics of folds add up to those of all rows, up to the last bit.
    separate = estimator.fit(rows, maps[int(np.argmin(averages))])
    np.testing.assert_allclose(both.bestModel.coefficients, separate.coefficients, rtol=1e-12)
    for together, apart in zip(estimator.fit(rows, maps), (estimator.fit(rows, each) for each in maps), strict=True):
        np.testing.assert_array_equal(together.coefficients, apart.coefficients)
        assert together.summary.objectiveHistory == apart.summary.objectiveHistory


def test_executors_and_driver_find_the_same(rows):
    estimator = LogisticRegression(tol=1e-10)
    maps = grid_of(estimator, regParam=[0.01, 1.0])
    there, here = (
        numbers_of(cross_validator(each, maps, log_loss(), collectSubModels=True).fit(rows))
        for each in (estimator.copy({estimator.execution: where}) for where in ("cluster", "driver"))
    )
    for mine, other in zip(there, here, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9)


def test_searches_in_threads_find_the_bits_that_they_find_alone(spark, rows):
    estimator = LogisticRegression()
    others = LinearRegression(labelCol="number")
    kinds = [
        (estimator, grid_of(estimator, regParam=[0.01, 1.0]), log_loss()),
        (others, grid_of(others, regParam=[0.01, 1.0]), RegressionEvaluator(labelCol="number")),
    ]
    several = [cross_validator(*kind, collectSubModels=True) for kind in kinds]
    alone = [numbers_of(validator.fit(rows)) for validator in several]
    found: dict[int, tuple] = {}
    with nothing_left(spark):
        threads = [
            threading.Thread(target=lambda i=i, v=v: found.__setitem__(i, numbers_of(v.fit(rows))))
            for i, v in enumerate(several)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [found[0], found[1]] == alone


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_nothing_is_left_of_a_search_that_fails(spark, rows, execution):
    estimator = LogisticRegression(labelCol="number", execution=execution)
    with nothing_left(spark), pytest.raises(ValueError, match="the multinomial loss needs integers"):
        cross_validator(estimator, grid_of(estimator, regParam=[0.1, 1.0]), log_loss()).fit(rows)


def test_stratified_folds_are_used_by_every_way_to_search(rows):
    for estimator in (LogisticRegression(), DecisionTreeClassifier()):
        validator = cross_validator(estimator, [{}], log_loss(), stratify=True)
        first, again = validator.fit(rows), validator.copy().fit(rows)
        plain = validator.copy({validator.stratify: False}).fit(rows)
        assert first.avgMetrics == again.avgMetrics != plain.avgMetrics


def test_weighted_rows_of_folds_are_judged_by_the_evaluators_weights(rows):
    estimator = LinearRegression(labelCol="number", weightCol="weight", tol=1e-10)
    weighted, plain = (RegressionEvaluator(labelCol="number", **each) for each in ({"weightCol": "weight"}, {}))
    found, expected, other = (
        cross_validator(estimator, grid_of(estimator, regParam=[0.0, 1.0]), each, is_stock).fit(rows).avgMetrics
        for each, is_stock in ((weighted, False), (weighted, True), (plain, False))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert np.all(np.abs(np.subtract(found, other)) > 1e-4)


@pytest.mark.parametrize("cls", [CrossValidator, TrainValidationSplit])
def test_stratify_is_a_param_like_the_others(cls):
    assert not cls().getStratify()
    assert cls(stratify=True, seed=3).getStratify()
    validator = cls(seed=3)
    assert validator.setParams(stratify=True, parallelism=2) is validator
    assert (validator.getStratify(), validator.getParallelism(), validator.getSeed()) == (True, 2, 3)
    assert not validator.setStratify(False).getStratify()
    assert "stratify" in validator.explainParams()
    with pytest.raises(TypeError, match="stratified"):
        cls(stratified=True)
