"""Scoring on the JVM: fitted models hand ``transform`` to the genuine ``pyspark.ml`` model, so it is as fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from pyspark import SparkContext
from pyspark.ml.common import _py2java
from pyspark.ml.linalg import DenseVector, Matrix, Vector
from pyspark.ml.param import Params
from pyspark.ml.wrapper import JavaModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DoubleType

from sparkgd.losses import Loss
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.ml.columns import is_plain, temporary_name
from sparkgd.ml.features import is_valid, vector_column


def java_model(class_name: str, *arguments: Any) -> Any:
    """A JVM object of ``org.apache.spark.ml``; vectors and matrices are converted."""
    context = SparkContext.getOrCreate()
    constructor: Any = context._jvm
    for part in f"org.apache.spark.ml.{class_name}".split("."):
        constructor = getattr(constructor, part)
    converted = [_py2java(context, a) if isinstance(a, Vector | Matrix) else a for a in arguments]
    return constructor(*converted)


def configured(model: JavaModel, instance: Params, vector: str, names: Iterable[str]) -> JavaModel:
    """MLlib's ``model``, reading the column ``vector``, with the params among ``names`` that ``instance`` has."""
    model.set(model.getParam("featuresCol"), vector)
    for name in names:
        if instance.hasParam(name) and instance.isDefined(name):
            model.set(model.getParam(name), instance.getOrDefault(name))
    return model


def with_vector(
    df: DataFrame,
    features: str | tuple[str, ...],
    score: Callable[[DataFrame, str], DataFrame],
    invalid: str,
    width: int,
) -> DataFrame:
    """Apply ``score(df, vector_column)``, with a temporary column where the features are no vector of a plain name.

    Rows with ``invalid`` features are left out (``skip``), or scored as so many (``width``) NaN (``keep``).
    """
    from pyspark.ml.linalg import VectorUDT

    if invalid == "skip":
        df = df.where(is_valid(df, features))
    plain = invalid != "keep" and isinstance(features, str) and is_plain(features) and features in df.columns
    if plain and isinstance(df.schema[str(features)].dataType, VectorUDT):
        return score(df, str(features))
    temporary = temporary_name("features")
    return score(df.withColumn(temporary, vector_column(df, features, invalid, width)), temporary).drop(temporary)


def with_margin(
    df: DataFrame, vector: str, coefficients: DenseVector, intercept: float, offset: str | None, output: str
) -> DataFrame:
    """Add the raw prediction ``x . coefficients + intercept + offset`` as column ``output``, a plain name."""
    from pyspark.ml.regression import LinearRegressionModel

    java = java_model("regression.LinearRegressionModel", f"margin_{uuid4().hex[:8]}", coefficients, intercept, 1.0)
    scored = LinearRegressionModel(java).setFeaturesCol(vector).setPredictionCol(output).transform(df)
    return scored if offset is None else scored.withColumn(output, F.col(output) + quoted(offset))


def inverse_link(loss: Loss, raw_prediction: Column) -> Column:
    """The prediction that a raw prediction stands for, as a column: native where Spark has the function."""
    if type(loss).inverse_link is Loss.inverse_link:
        return raw_prediction
    if isinstance(loss, LogLinkLoss):
        return F.exp(raw_prediction)

    def predict(batch: pd.Series) -> pd.Series:
        return pd.Series(np.asarray(loss.inverse_link(batch.to_numpy()), dtype=np.float64))

    make_udf: Any = pandas_udf  # its overloads do not cover series of float64
    scored: Column = make_udf(predict, DoubleType())(raw_prediction)
    return scored


def quoted(name: str) -> Column:
    """A column by its literal name."""
    return F.col(f"`{name.replace('`', '``')}`")
