"""Scoring on the JVM: fitted models hand ``transform`` to the genuine ``pyspark.ml`` model, so it is as fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from pyspark import SparkContext
from pyspark.ml.common import _py2java
from pyspark.ml.linalg import DenseMatrix, DenseVector
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparkgd.ml.columns import features_column


def java_model(class_name: str, *arguments: Any) -> Any:
    """A JVM object of ``org.apache.spark.ml``; vectors and matrices are converted."""
    context = SparkContext.getOrCreate()
    constructor: Any = context._jvm
    for part in f"org.apache.spark.ml.{class_name}".split("."):
        constructor = getattr(constructor, part)
    converted = [_py2java(context, a) if isinstance(a, DenseVector | DenseMatrix) else a for a in arguments]
    return constructor(*converted)


def with_vector(
    df: DataFrame, features: str | tuple[str, ...], score: Callable[[DataFrame, str], DataFrame]
) -> DataFrame:
    """Apply ``score(df, vector_column)``, with a temporary vector column where the features are no vector."""
    from pyspark.ml.linalg import VectorUDT

    if isinstance(features, str) and features in df.columns and isinstance(df.schema[features].dataType, VectorUDT):
        return score(df, features)
    temporary = f"sparkgd_features_{uuid4().hex[:8]}"
    return score(df.withColumn(temporary, features_column(df, features)), temporary).drop(temporary)


def with_margin(
    df: DataFrame, vector: str, coefficients: DenseVector, intercept: float, offset: str | None, output: str
) -> DataFrame:
    """Add the raw prediction ``x . coefficients + intercept + offset`` as column ``output``."""
    from pyspark.ml.regression import LinearRegressionModel

    java = java_model("regression.LinearRegressionModel", f"margin_{uuid4().hex[:8]}", coefficients, intercept, 1.0)
    scored = LinearRegressionModel(java).setFeaturesCol(vector).setPredictionCol(output).transform(df)
    return scored if offset is None else scored.withColumn(output, F.col(output) + quoted(offset))


def quoted(name: str) -> Column:
    """A column by its literal name."""
    return F.col(f"`{name.replace('`', '``')}`")
