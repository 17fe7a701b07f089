"""Scoring with a saved model or pipeline: which rows it refuses, which columns are the user's, and a whole output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from job_io import JobError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.feature import OneHotEncoderModel, StringIndexerModel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.ml.lookup import find

RAISED = re.compile(r"\[USER_RAISED_EXCEPTION\] (.*?) SQLSTATE")
"""Why an expression of a job refused a row, inside all that Spark says about it."""


def model_of(whole: Any) -> Any:
    """The linear model in what a job saved."""
    found = [stage for stage in getattr(whole, "stages", [whole]) if hasattr(stage, "numFeatures")]
    return found[-1] if found else whole


def helpers_of(whole: Any) -> list[str]:
    """Columns that the stages of a pipeline make for each other."""
    kinds = StringIndexerModel | OneHotEncoderModel
    stages = [stage for stage in getattr(whole, "stages", []) if isinstance(stage, kinds)]
    return [name for stage in stages if stage.isDefined("outputCols") for name in stage.getOutputCols()]


def checked(data: DataFrame, whole: Any) -> DataFrame:
    """The rows without those that the model's handleInvalid leaves out for their categories, or that it refuses.

    The model itself does the same for its features. Refused rows make the job fail, not this function.

    Raises
    ------
    InvalidDataError
        If a column of categories does not exist.
    """
    linear = model_of(whole)
    invalid = linear.getOrDefault("handleInvalid") if linear.hasParam("handleInvalid") else "keep"
    if invalid == "keep":
        return data
    for name, known in _categories(whole, linear):
        column = find(data, name, "--categoricalCols").column.cast("string")
        is_known = F.coalesce(column.isin(list(known)), F.lit(False))
        data = _kept(data, is_known, invalid, f"column {name!r} holds ", column,
                     f", which is none of its {len(known):,} values in training")  # fmt: skip
    one = linear.getOrDefault("featuresCol")
    if invalid == "error" and not linear.isDefined("featuresCols") and one in data.columns:
        column = find(data, one, "featuresCol").column  # of several columns the model itself tells which is null
        data = _kept(data, column.isNotNull(), invalid, f"column {one!r} holds ", F.lit("null"), "")
    return data


def _categories(whole: Any, linear: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns of categories and their values in training; text labels are none."""
    for stage in getattr(whole, "stages", []):
        if isinstance(stage, StringIndexerModel) and stage.isDefined("inputCols"):
            for name, made, known in zip(stage.getInputCols(), stage.getOutputCols(), stage.labelsArray, strict=True):
                if made != linear.getOrDefault("labelCol"):
                    yield name, tuple(known)


def _kept(data: DataFrame, is_valid: Column, invalid: str, before: str, value: Column, after: str) -> DataFrame:
    if invalid == "skip":
        return data.where(is_valid)
    told = F.concat(F.lit(before), F.coalesce(value, F.lit("null")), F.lit(after))
    advice = F.lit("; give --handleInvalid skip or keep")
    return data.where(F.when(is_valid, True).otherwise(F.raise_error(F.concat(told, advice)).cast("boolean")))


def write_parquet(spark: SparkSession, rows: DataFrame, path: str, overwrite: bool) -> None:
    """Write rows as parquet; of a job that fails no empty directory is left.

    Raises
    ------
    JobError
        If the job refuses a row.
    """
    spark.sparkContext.setLogLevel("OFF")  # the error below says it all
    try:
        rows.write.mode("overwrite" if overwrite else "error").parquet(path)
    except BaseException as error:
        _remove_if_empty(spark, path)
        raised = RAISED.search(str(error)) if isinstance(error, PySparkException | Py4JJavaError) else None
        if raised:
            raise JobError(f"nothing was written: {raised[1]}") from error
        raise
    finally:
        spark.sparkContext.setLogLevel("ERROR")


def _remove_if_empty(spark: SparkSession, path: str) -> None:
    context: Any = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    files = place.getFileSystem(context._jsc.hadoopConfiguration())
    if files.exists(place) and not files.listFiles(place, True).hasNext():
        files.delete(place, True)
