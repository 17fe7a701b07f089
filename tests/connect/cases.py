"""Fits that classic Spark and Spark Connect are to do alike, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression
from sparkgd.solvers.registry import SOLVERS

ROWS, WIDTH, CLASSES = 4000, 5, 3
COLUMNS = [f"x{j}" for j in range(WIDTH)]


def frame(spark: SparkSession, partitions: int = 5, rows: int = ROWS) -> DataFrame:
    """Columns of features, three labels, a weight, an offset and groups of rows."""
    features = [(F.sin(F.col("id") * (j + 1.3) + j) * (1 + j)).alias(name) for j, name in enumerate(COLUMNS)]
    noise = F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9)
    return spark.range(0, rows, 1, partitions).select(
        *features,
        (noise + F.sin(F.col("id") * 1.3) > 0.3).cast("double").alias("label"),
        (F.abs(noise * 3).cast("int") % CLASSES).cast("double").alias("count"),
        (noise + F.sin(F.col("id") * 1.3) * 2).alias("number"),
        (1 + F.col("id") % 3).cast("double").alias("weight"),
        F.cos("id").alias("offset"),
        (F.col("id") % 40).alias("group"),
        F.concat(F.lit("town "), F.col("id") % 4).alias("town"),
    )


def uneven(spark: SparkSession) -> DataFrame:
    """Most of the rows in one partition."""
    return frame(spark, 1, 6 * ROWS).union(frame(spark, 1, 10))


def estimators() -> dict[str, Any]:
    """Estimators by what they stand for."""
    shared: dict[str, Any] = {"featuresCols": COLUMNS, "execution": "cluster", "regParam": 0.01}
    named = {
        f"solver {name}": LogisticRegression(solver=name, maxIter=6, **shared) for name in SOLVERS if name != "irls"
    }
    return {
        **named,
        "auto": LogisticRegression(**shared),
        "elastic net": LogisticRegression(elasticNetParam=0.5, weightCol="weight", offsetCol="offset", **shared),
        "balanced": LogisticRegression(classWeight="balanced", **shared),
        "multinomial": LogisticRegression(labelCol="count", **shared),
        "hinge": LinearSVC(**shared),
        "squared": LinearRegression(labelCol="number", **shared),
        "huber": LinearRegression(labelCol="number", loss="huber", **shared),
        "poisson": GeneralizedLinearRegression(labelCol="count", family="poisson", **shared),
        "quantile": GradientDescentRegressor(labelCol="number", loss="quantile", **shared),
        "modified huber": GradientDescentClassifier(loss="modifiedHuber", **shared),
    }


DATA: dict[str, Callable[[SparkSession], DataFrame]] = {"even": frame, "uneven": uneven}


def in_batches(df: DataFrame) -> Any:
    """The model of four batches, one after the other."""
    estimator, model = LogisticRegression(featuresCols=COLUMNS, execution="cluster", regParam=0.01), None
    for number in range(4):
        model = estimator.partialFit(df.where(F.col("group") % 4 == number), model)
    return model


def told(model: Any) -> dict[str, Any]:
    """What is to be equal of two models."""
    numbers = np.concatenate([model._weights.ravel(), model._intercepts])
    return {"numbers": [float(x).hex() for x in numbers], "rounds": len(model.summary.objectiveHistory)}


def mixed() -> Pipeline:
    """Stages of the JVM, and one of ours that learns from what they make."""
    return Pipeline(
        stages=[
            StringIndexer(inputCol="town", outputCol="number of town"),
            OneHotEncoder(inputCol="number of town", outputCol="towns"),
            VectorAssembler(inputCols=[*COLUMNS, "towns"], outputCol="features"),
            LogisticRegression(regParam=0.01),
        ]
    )


def fitted(df: DataFrame) -> PipelineModel:
    """The model of `mixed`, whose summary knows one metric of its rows."""
    model = mixed().fit(df)
    assert model.stages[-1].summary.areaUnderROC > 0.5
    return model


def told_of_pipeline(model: PipelineModel, df: DataFrame) -> dict[str, Any]:
    """What is to be equal of a pipeline and of what was saved of it."""
    rows = model.transform(df.orderBy("x0").limit(20)).select("prediction", "probability").collect()
    summary = model.stages[-1].summary
    return {
        "stages": [stage.uid for stage in model.stages],
        "labels": list(model.stages[0].labels),
        "predictions": [row.prediction for row in rows],
        "probabilities": [row.probability[1].hex() for row in rows],
        "objectives": [value.hex() for value in summary.objectiveHistory],
        "metric": summary.areaUnderROC.hex(),
        "summary": str(summary),
        **told(model.stages[-1]),
    }
