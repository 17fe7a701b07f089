"""What the jobs share: reading a source, and errors as one line with exit code 2."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

from job_session import is_of_spark, unlogged
from pyspark.errors import AnalysisException, IllegalArgumentException
from pyspark.sql import DataFrame, SparkSession

from sparkgd.exceptions import DivergedError, SparkGDError

FORMATS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".libsvm": "libsvm", ".svm": "libsvm"}
"""Format by the ending of a path."""

ReadOptions: TypeAlias = Mapping[str, Mapping[str, str]]

READ_OPTIONS: ReadOptions = {"csv": {"header": "true", "inferSchema": "true"}}
"""Options that a format is read with unless ``--read-option`` says otherwise."""


class JobError(Exception):
    """A wrong option, path, column or type; the message is the one line that the user sees."""


def read(spark: SparkSession, options: argparse.Namespace, defaults: ReadOptions = READ_OPTIONS) -> DataFrame:
    """The DataFrame that the options name; ``defaults`` are reader options by format, which they may override."""
    source = options.input
    kind = options.format or _format(source)
    settings = {**defaults.get(kind, {}), **dict(options.read_option)}
    try:
        with unlogged(spark):  # some formats read rows for the schema; the error below says it all
            data = spark.table(source) if kind == "table" else spark.read.format(kind).options(**settings).load(source)
            data.schema  # noqa: B018, Spark Connect looks for the source when it is asked for this
    except Exception as error:
        if not is_of_spark(error):
            raise
        raise JobError(f"cannot read {source!r} as {kind}: {first_line(error)}") from error
    return data


def _format(source: str) -> str:
    path = source.rstrip("/")
    for ending, kind in FORMATS.items():
        if path.endswith(ending):
            return kind
    if "/" in path or os.path.exists(path):
        raise JobError(f"cannot tell the format of {source!r} by its ending; give --format")
    return "table"


def require_free(spark: SparkSession, path: str, overwrite: bool) -> None:
    """Refuse an output that exists, before the work rather than after it."""
    if overwrite:
        return
    try:
        spark.read.text(path).schema  # noqa: B018, of a text source that is fixed: this only looks for the path
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return
        raise
    raise JobError(f"{path!r} exists; give another path or --overwrite")


def first_line(error: Exception) -> str:
    """The first line of a message: Spark's errors go on with query plans and stack traces."""
    java = getattr(error, "java_exception", None)
    text = str(error if java is None else java.getMessage())
    return text.strip().partition("\n")[0]


def run_job(job: Callable[[list[str], SparkSession | None], None], argv: list[str], spark: SparkSession | None) -> int:
    """Run a job and return its exit code: 0; 1 if training diverged; 2 if what the user gave is wrong.

    Such an ending is one line on stderr. Any other exception is a defect and keeps its stack trace.
    """
    try:
        job(argv, spark)
    except DivergedError as error:
        return _say(error, 1)
    except (JobError, SparkGDError, AnalysisException, IllegalArgumentException) as error:
        return _say(error, 2)
    return 0


def _say(error: Exception, code: int) -> int:
    print(f"error: {first_line(error)}", file=sys.stderr, flush=True)
    return code
