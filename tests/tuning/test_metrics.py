"""Metrics of packed rows against pyspark's evaluators of scored DataFrames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.data.statistics import merge
from sparkgd.engine.base import Packing
from sparkgd.engine.choice import packed_rows
from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import LogisticLoss, MultinomialLoss
from sparkgd.ml.columns import select_input
from sparkgd.penalties import NoPenalty
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import held_out_scores
from sparkgd.reductions.moments import Moments
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression
from sparkgd.training.fit import TrainingSet
from sparkgd.training.rounds import Asked, run_round
from sparkgd.tuning.metrics import AREAS, CLASS_METRICS, ERRORS, metric_of
from tests.support.frames import frame

RNG = np.random.default_rng(5)
ROWS = 400
X = RNG.normal(size=(ROWS, 3)) * [1.0, 5.0, 0.2] + [0.0, 2.0, 0.0]
OFFSET = RNG.normal(size=ROWS)
RAW = X @ [0.8, 0.1, -2.0] + 0.5 * OFFSET
LABELS = {
    "number": 9.0 + RAW + RNG.normal(size=ROWS),
    "count": RNG.poisson(np.exp(0.5 * RAW)).astype(float),
    "binary": (RAW + RNG.logistic(size=ROWS) > 0.3).astype(float),
    "class": np.argmax(np.column_stack([RAW, -RAW, X[:, 1] / 4.0]) + RNG.gumbel(size=(ROWS, 3)), axis=1).astype(float),
}
FOLDS = 2
ALL_OF_CLASSES = tuple(sorted(CLASS_METRICS))
WITHOUT_LOG_LOSS = tuple(sorted(CLASS_METRICS - {"logLoss"}))
EXACT = {"rel": 1e-12, "abs": 1e-12}


@pytest.fixture(scope="module")
def df(spark):
    columns = {
        "weight": RNG.choice([0.0, 0.5, 1.0, 3.0], ROWS),
        "offset": OFFSET,
        "fold": RNG.integers(0, FOLDS, ROWS).astype(float),
        **LABELS,
    }
    cached = frame(spark, X, LABELS["binary"], 3, **columns).withColumn("fold", F.col("fold") == 1.0).cache()
    cached.count()
    yield cached
    spark.catalog.clearCache()


@dataclass
class Split:
    """A model of the rows of one fold, and what judges it by those of the other."""

    estimator: Any
    df: DataFrame
    held_out: int = 1

    def __post_init__(self) -> None:
        is_held_out = F.col("fold") == F.lit(self.held_out == 1)
        self.model = self.estimator.fit(self.df.where(~is_held_out))
        self.scored = self.model.transform(self.df.where(is_held_out)).coalesce(1).cache()
        classes = len(self.model._intercepts)
        loss = MultinomialLoss(classes) if classes > 1 else LogisticLoss()
        self.layout = CoefLayout(self.model.numFeatures, classes)
        unscaled = Diagonal(self.layout, np.zeros(self.model.numFeatures), np.ones(self.model.numFeatures))
        self.problem = Problem(loss, self.layout, NoPenalty(), unscaled, self.held_out)
        self.coef = self.layout.pack(self.model._weights, self.model._intercepts)

    def expected(self, evaluator: Evaluator) -> float:
        return evaluator.evaluate(self.scored)

    def asked(self, evaluator: Evaluator, rows: TrainingSet) -> Asked:
        metric = metric_of(evaluator, self.estimator)
        assert metric is not None, evaluator.extractParamMap()
        return Asked(self.problem, metric.question(self.problem, self.coef, rows), rows.rows)

    def value(self, evaluator: Evaluator, reply: Any) -> float:
        metric = metric_of(evaluator, self.estimator)
        assert metric is not None
        return metric.value(reply)


def packed(estimator: Any, df: DataFrame, execution: str = "auto") -> TrainingSet:
    """All rows, packed with their folds."""
    columns = replace(estimator._columns(), validation="fold")
    engine = packed_rows(select_input(df, columns), Packing(execution=execution), "test")
    statistics = merge([part for group, part in engine.statistics().items() if group.fold == 0])
    return TrainingSet(engine, engine.count, statistics)


def assert_same(splits: list[Split], evaluators: list[Evaluator], **close: float) -> None:
    """Every evaluator's metric of every model, in one round."""
    rows = packed(splits[0].estimator, splits[0].df)
    pairs = [(split, evaluator) for split in splits for evaluator in evaluators]
    answers = run_round([split.asked(evaluator, rows) for split, evaluator in pairs])
    for (split, evaluator), answer in zip(pairs, answers, strict=True):
        found = split.value(evaluator, answer.reply)
        case = {param.name: value for param, value in evaluator.extractParamMap().items()}
        assert found == pytest.approx(split.expected(evaluator), nan_ok=True, **(close or EXACT)), case


def error_evaluators(label: str, **columns: str) -> list[Evaluator]:
    metrics = [(name, False) for name in ERRORS] + [("r2", True)]
    return [
        RegressionEvaluator(labelCol=label, metricName=name, throughOrigin=origin, **columns)
        for name, origin in metrics
    ]


def class_evaluators(label: str, names: Any = ALL_OF_CLASSES, **columns: Any) -> list[Evaluator]:
    return [MulticlassClassificationEvaluator(labelCol=label, metricName=name, **columns) for name in names]


def area_evaluators(**params: Any) -> list[Evaluator]:
    return [BinaryClassificationEvaluator(metricName=name, **params) for name in AREAS]


@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(labelCol="number"),
        LinearRegression(labelCol="number", weightCol="weight", offsetCol="offset"),
        LinearRegression(labelCol="number", loss="huber"),
        GradientDescentRegressor(labelCol="number", loss="quantile"),
        GradientDescentRegressor(labelCol="count", loss="poisson", weightCol="weight"),
        GeneralizedLinearRegression(labelCol="count", family="poisson", offsetCol="offset", weightCol="weight"),
        GeneralizedLinearRegression(labelCol="number", family="gamma", link="log"),
        GeneralizedLinearRegression(labelCol="binary", family="binomial", link="probit"),
        GeneralizedLinearRegression(labelCol="number"),
    ],
    ids=lambda estimator: f"{type(estimator).__name__} {estimator._saved_params()}",
)
def test_errors_are_those_of_the_evaluator(df, estimator):
    label = estimator.getOrDefault("labelCol")
    evaluators = error_evaluators(label)
    if estimator.isDefined("weightCol"):
        evaluators += error_evaluators(label, weightCol="weight")
    assert_same([Split(estimator, df, held_out) for held_out in range(FOLDS)], evaluators)


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
def test_means_are_those_that_the_model_predicts_even_where_a_raw_prediction_stands_for_none(df):
    estimator = GeneralizedLinearRegression(labelCol="count", family="poisson", link="identity")
    split = Split(estimator, df)
    split.model._weights *= 3.0
    split.scored = split.model.transform(df.where("fold"))
    split.coef = split.layout.pack(split.model._weights, split.model._intercepts)
    assert split.scored.agg(F.min("prediction")).head()[0] == 1e-16
    assert_same([split], error_evaluators("count"))


def test_rows_of_the_same_moments_have_the_same_squared_errors(df):
    for weight in (None, "weight"):
        estimator = LinearRegression(labelCol="number", offsetCol="offset")
        evaluators = [e for e in error_evaluators("number") if e.getMetricName() != "mae"]
        if weight is not None:
            estimator.setParams(weightCol=weight)
            evaluators = [e.setWeightCol(weight) for e in evaluators if e.getMetricName() != "r2"]
        split, moments = Split(estimator, df), Moments()
        rows = packed(estimator, df)
        for block in rows.rows.packed.blocks():
            moments.add(block)
        for evaluator in evaluators:
            metric = metric_of(evaluator, estimator)
            assert metric is not None
            assert not metric.needs_rows
            few = LocalRows([moments.block()])
            (answer,) = run_round([replace(split.asked(evaluator, rows), rows=few)])
            assert metric.value(answer.reply) == pytest.approx(split.expected(evaluator), rel=1e-9)


def test_what_moments_do_not_tell_needs_rows(df):
    def needs_rows(evaluator: Evaluator, estimator: Any) -> bool:
        metric = metric_of(evaluator, estimator)
        assert metric is not None
        return metric.needs_rows

    plain, weighted = LinearRegression(), LinearRegression(weightCol="weight")
    assert not needs_rows(RegressionEvaluator(), plain)
    assert needs_rows(RegressionEvaluator(metricName="mae"), plain)
    assert needs_rows(RegressionEvaluator(), weighted)
    assert not needs_rows(RegressionEvaluator(weightCol="weight"), weighted)
    assert needs_rows(RegressionEvaluator(weightCol="weight", metricName="r2"), weighted)
    assert needs_rows(RegressionEvaluator(), GeneralizedLinearRegression(family="poisson"))
    assert needs_rows(RegressionEvaluator(), LogisticRegression())
    assert not needs_rows(RegressionEvaluator(), GradientDescentRegressor())
    assert needs_rows(RegressionEvaluator(), GradientDescentRegressor(loss="poisson"))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(threshold=0.3),
        LogisticRegression(thresholds=[0.2, 0.6], weightCol="weight", offsetCol="offset"),
        LogisticRegression(family="multinomial", thresholds=[0.6, 0.2]),
        LogisticRegression(labelCol="class", weightCol="weight"),
        pytest.param(LogisticRegression(labelCol="class", thresholds=[0.1, 0.5, 0.0]), marks=pytest.mark.smoke),
        LogisticRegression(classWeight={0: 3.0, 1: 1.0}),
        LinearSVC(threshold=0.2, offsetCol="offset"),
        GradientDescentClassifier(labelCol="class", loss="multinomial"),
        GradientDescentClassifier(loss="squaredHinge", threshold=-0.1),
    ],
    ids=lambda estimator: f"{type(estimator).__name__} {estimator._saved_params()}",
)
def test_metrics_of_classes_are_those_of_the_evaluator(df, estimator):
    label = estimator.getOrDefault("labelCol")
    names = ALL_OF_CLASSES if estimator.hasParam("probabilityCol") else WITHOUT_LOG_LOSS
    evaluators = class_evaluators(label, names) + class_evaluators(label, names, beta=2.0, metricLabel=1.0, eps=0.2)
    if estimator.isDefined("weightCol"):
        evaluators += class_evaluators(label, names, weightCol="weight")
    evaluators += error_evaluators(label)[:2]
    assert_same([Split(estimator, df, held_out) for held_out in range(FOLDS)], evaluators)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(weightCol="weight", offsetCol="offset"),
        LogisticRegression(family="multinomial", regParam=0.0),
        LogisticRegression(family="multinomial", regParam=0.1),
        LogisticRegression(family="multinomial", regParam=0.01, elasticNetParam=0.5),
        LogisticRegression(regParam=1e5),
        LinearSVC(regParam=0.1),
        GradientDescentClassifier(loss="modifiedHuber"),
    ],
    ids=lambda estimator: f"{type(estimator).__name__} {estimator._saved_params()}",
)
def test_areas_are_those_of_the_evaluator(df, estimator):
    label = estimator.getOrDefault("labelCol")
    splits = [Split(estimator, df, held_out) for held_out in range(FOLDS)]
    for split in splits:
        if split.layout.num_outputs > 1:  # as solvers may leave it: without effect on probabilities
            split.coef = split.coef + np.where(np.arange(len(split.coef)) >= split.layout.num_weights, 0.7, 0.0)
    evaluators = area_evaluators(labelCol=label, numBins=0) + area_evaluators(labelCol=label)
    if estimator.hasParam("probabilityCol"):
        evaluators += area_evaluators(labelCol=label, numBins=0, rawPredictionCol="probability")
    if estimator.isDefined("weightCol"):
        evaluators += area_evaluators(labelCol=label, numBins=0, weightCol="weight")
    assert_same(splits, evaluators, abs=1e-6)


@pytest.mark.parametrize("bins", [5, 20, 60])
def test_areas_of_some_thresholds_differ_little(df, bins):
    assert_same([Split(LogisticRegression(), df)], area_evaluators(numBins=bins), abs=2e-2 if bins == 5 else 1e-2)


def test_executors_answer_as_the_driver_does(df, monkeypatch):
    split, evaluators = Split(LogisticRegression(), df), area_evaluators() + class_evaluators("label")
    there = packed(split.estimator, df, "cluster")
    assert there.rows.execution == "cluster"
    for most in (ROWS, ROWS // 2):
        monkeypatch.setattr(held_out_scores, "LEAST_ROWS", most)
        monkeypatch.setattr(held_out_scores, "MOST_NUMBERS", 0)
        answers = run_round([split.asked(evaluator, there) for evaluator in evaluators])
        for evaluator, answer in zip(evaluators, answers, strict=True):
            close = 1e-12 if most == ROWS or evaluator.getMetricName() not in AREAS else 0.02
            assert split.value(evaluator, answer.reply) == pytest.approx(split.expected(evaluator), abs=close)
    there.rows.release()


@pytest.mark.parametrize("rows", ["binary = 1", "binary = 0", "false", "weight = 0"])
def test_degenerate_folds_are_judged_as_the_evaluator_does(df, rows):
    estimator = LogisticRegression(labelCol="binary", weightCol="weight")
    few = df.where(~F.col("fold") | F.expr(rows))
    split, columns = Split(estimator, few), {"labelCol": "binary", "weightCol": "weight"}
    evaluators = class_evaluators("binary", weightCol="weight") + area_evaluators(**columns, numBins=0)
    evaluators += error_evaluators("binary", weightCol="weight")
    data = packed(estimator, few)
    for evaluator, answer in zip(evaluators, run_round([split.asked(e, data) for e in evaluators]), strict=True):
        try:
            expected = split.expected(evaluator)
        except Exception:
            expected = np.nan
        if (rows, evaluator.getOrDefault("metricName")) == ("weight = 0", "areaUnderPR"):
            expected = np.nan  # MLlib knows that there are rows, and says 0
        found = split.value(evaluator, answer.reply)
        assert found == pytest.approx(expected, nan_ok=True, **EXACT), evaluator.getMetricName()


def test_curves_are_of_two_classes(df):
    estimator = LogisticRegression(labelCol="class")
    with pytest.raises(IncompatibleError, match="areaUnderROC is a metric of two classes; the model has 3"):
        Split(estimator, df).asked(BinaryClassificationEvaluator(labelCol="class"), packed(estimator, df))


class OwnEvaluator(RegressionEvaluator):
    """One that may do anything."""


def test_what_the_blocks_do_not_tell_is_left_to_the_evaluator(spark):
    def is_mapped(evaluator: Evaluator, estimator: Any) -> bool:
        return metric_of(evaluator, estimator) is not None

    errors, areas, classes = RegressionEvaluator, BinaryClassificationEvaluator, MulticlassClassificationEvaluator
    assert not is_mapped(OwnEvaluator(), LinearRegression())
    assert not is_mapped(errors(labelCol="other"), LinearRegression())
    assert is_mapped(errors(labelCol="other"), LinearRegression(labelCol="other"))
    assert not is_mapped(errors(predictionCol="other"), LinearRegression())
    assert not is_mapped(errors(weightCol="weight"), LinearRegression())
    assert not is_mapped(errors(weightCol="weight"), LinearRegression(weightCol="other"))
    assert not is_mapped(errors(metricName="unknown"), LinearRegression())
    assert is_mapped(errors(weightCol=""), LinearRegression())
    assert not is_mapped(classes(weightCol="weight"), LogisticRegression(weightCol="weight", classWeight="balanced"))
    assert is_mapped(classes(), LogisticRegression(weightCol="weight", classWeight="balanced"))
    assert not is_mapped(classes(), LinearRegression())
    assert not is_mapped(classes(metricName="logLoss"), LinearSVC())
    assert not is_mapped(classes(metricName="logLoss"), LogisticRegression(probabilityCol=""))
    assert not is_mapped(classes(metricName="fMeasureByLabel", beta=0.0), LogisticRegression())
    assert not is_mapped(areas(), GeneralizedLinearRegression(family="binomial"))
    assert not is_mapped(areas(rawPredictionCol="prediction"), LogisticRegression())
    assert is_mapped(areas(rawPredictionCol="probability"), LogisticRegression())
    assert not is_mapped(areas(rawPredictionCol=""), LogisticRegression(rawPredictionCol=""))
