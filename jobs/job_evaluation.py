"""Metrics: of a model on held-out rows, and by name for a search."""

from __future__ import annotations

from functools import reduce
from typing import Any

from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)
from pyspark.sql import DataFrame

from sparkgd.ml.columns import temporary_name
from sparkgd.ml.features import is_valid
from sparkgd.ml.lookup import find

Metrics = dict[str, float]

AREAS = ("areaUnderROC", "areaUnderPR")
BY_CLASS = ("accuracy", "f1", "logLoss", "hammingLoss", "weightedPrecision", "weightedRecall", "weightedFMeasure")
ERRORS = ("rmse", "mse", "r2", "mae", "var")


def metrics_of(task: str, estimator: Any) -> tuple[str, ...]:
    """Names of the metrics that a search with an estimator may choose by."""
    if task == "regression":
        return ERRORS
    return tuple(name for name in (*AREAS, *BY_CLASS) if name != "logLoss" or estimator.hasParam("probabilityCol"))


def evaluator_of(metric: str, estimator: Any) -> Evaluator:
    """The evaluator of a metric, which reads the columns that models of an estimator write."""
    evaluator: Any
    prediction = estimator.getPredictionCol()
    if metric in ERRORS:
        evaluator = RegressionEvaluator(predictionCol=prediction)
    elif metric in AREAS:
        evaluator = BinaryClassificationEvaluator(rawPredictionCol=estimator.getRawPredictionCol())
    else:
        evaluator = MulticlassClassificationEvaluator(predictionCol=prediction)
        if estimator.hasParam("probabilityCol"):
            evaluator.setProbabilityCol(estimator.getProbabilityCol())
    evaluator.setMetricName(metric)
    evaluator.setLabelCol(estimator.getLabelCol())
    if estimator.isDefined("weightCol"):
        evaluator.setWeightCol(estimator.getWeightCol())
    return evaluator  # type: ignore[no-any-return]


def evaluate(task: str, model: Any, estimator: Any, held_out: DataFrame) -> Metrics:
    """Metrics on the held-out rows by name, their number first; rows with nulls are left out."""
    features = tuple(estimator.getFeaturesCols()) if estimator.isDefined("featuresCols") else estimator.getFeaturesCol()
    numbers = {role: estimator.getOrDefault(role) for role in ("labelCol", "weightCol") if estimator.isDefined(role)}
    plain = {role: temporary_name(role) for role in numbers}  # evaluators read no booleans and no fields of structs
    columns = {plain[role]: find(held_out, name, role).column.cast("double") for role, name in numbers.items()}
    is_known = [column.isNotNull() for column in columns.values()]
    usable = held_out.withColumns(columns).where(reduce(lambda a, b: a & b, is_known, is_valid(held_out, features)))
    scored = model.transform(usable).cache()
    try:
        rows = scored.count()
        metrics: Metrics = {"rows": rows}
        for name, evaluator in _evaluators(task, model).items() if rows else ():
            evaluator.setLabelCol(plain["labelCol"])
            if "weightCol" in plain:
                evaluator.setWeightCol(plain["weightCol"])
            metrics[name] = evaluator.evaluate(scored)
    finally:
        scored.unpersist()
    return metrics


def _evaluators(task: str, model: Any) -> dict[str, Any]:
    prediction = model.getPredictionCol()
    if task == "regression":
        return {
            "RMSE": RegressionEvaluator(predictionCol=prediction, metricName="rmse"),
            "R2": RegressionEvaluator(predictionCol=prediction, metricName="r2"),
        }
    accuracy = MulticlassClassificationEvaluator(predictionCol=prediction, metricName="accuracy")
    if model.numClasses > 2:
        return {"accuracy": accuracy}
    raw = model.getRawPredictionCol()
    return {"AUC": BinaryClassificationEvaluator(rawPredictionCol=raw), "accuracy": accuracy}
