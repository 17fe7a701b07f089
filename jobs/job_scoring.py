"""Scoring with a saved model or pipeline: which rows it refuses, which columns are the user's, and a whole output."""

from __future__ import annotations

import re
from typing import Any

from job_io import JobError
from job_pipeline import PREDICTED, transformed
from job_session import is_of_spark, remove_if_empty, unlogged
from pyspark.ml import PipelineModel
from pyspark.ml.feature import OneHotEncoderModel, StringIndexerModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.ml.lookup import find

HELPERS = StringIndexerModel | OneHotEncoderModel
"""Stages that jobs/train.py puts before a model."""

RAISED = re.compile(r"\[USER_RAISED_EXCEPTION\] (.*?) SQLSTATE")
"""Why an expression of a job refused a row, inside all that Spark says about it."""


def model_of(whole: Any) -> Any:
    """The linear model in what a job saved."""
    found = [stage for stage in getattr(whole, "stages", [whole]) if hasattr(stage, "numFeatures")]
    return found[-1] if found else whole


def scored(data: DataFrame, whole: Any) -> DataFrame:
    """The rows with the columns of predictions of what a job saved, as its model's ``handleInvalid`` has it.

    Of a pipeline the columns that its stages make for each other are left out. Rows that are refused fail the job that
    comes across them, not this function.

    Raises
    ------
    InvalidDataError
        If a column of features does not exist.
    """
    stages = getattr(whole, "stages", [whole])
    linear = model_of(whole)
    place = stages.index(linear)
    before, after = stages[:place], stages[place + 1 :]
    refuses = linear.hasParam("handleInvalid") and linear.getOrDefault("handleInvalid") == "error"
    if all(isinstance(stage, HELPERS) and stage.isDefined("outputCols") for stage in before):
        data = transformed(data, before, refuses)
    else:  # a pipeline of the user's own
        data, before = PipelineModel(before).transform(data), []
    if refuses:
        data = _without_null(data, linear)
    found = PipelineModel([linear, *after]).transform(data)
    if after and PREDICTED in found.columns:  # of what cannot be scored, Spark has the first label
        score = vector_to_array(F.col(linear.getRawPredictionCol()))[0]
        found = found.withColumn(PREDICTED, F.when(~F.isnan(score), F.col(PREDICTED)))
    return found.drop(*(name for stage in before for name in stage.getOutputCols()))


def _without_null(data: DataFrame, linear: Any) -> DataFrame:
    """The rows, of which one whose vector is null fails the job; of several columns the model itself tells which is."""
    name = linear.getOrDefault("featuresCol")
    if linear.isDefined("featuresCols") or name not in data.columns:
        return data
    told = F.raise_error(F.lit(f"column {name!r} is null in a row; give --handleInvalid skip or keep"))
    return data.where(F.when(find(data, name, "featuresCol").column.isNotNull(), True).otherwise(told.cast("boolean")))


def write_parquet(spark: SparkSession, rows: DataFrame, path: str, overwrite: bool) -> None:
    """Write rows as parquet; of a job that fails no empty directory is left.

    Raises
    ------
    JobError
        If the job refuses a row.
    """
    try:
        with unlogged(spark):
            rows.write.mode("overwrite" if overwrite else "error").parquet(path)
    except BaseException as error:
        remove_if_empty(spark, path)
        raised = RAISED.search(str(error)) if is_of_spark(error) else None
        if raised:
            raise JobError(f"nothing was written: {raised[1]}") from error
        raise
