"""The session of a job: that of spark-submit, or one of Spark Connect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

LOG_LEVEL = "ERROR"
"""What Spark itself may print while a job runs."""


@contextmanager
def session_of(spark: SparkSession | None, name: str, remote: str | None = None) -> Iterator[SparkSession]:
    """The session to use: a given one, else one that is started and stopped, on a server if one is named."""
    session = spark or start_session(name, remote)
    try:
        yield session
    finally:
        if spark is None:
            session.stop()


def start_session(name: str, remote: str | None = None) -> SparkSession:
    """The session of a job, with the settings that spark-submit was given."""
    builder = SparkSession.builder.appName(name)
    spark = (builder if remote is None else builder.remote(remote)).getOrCreate()
    _log(spark, LOG_LEVEL)
    return spark


@contextmanager
def unlogged(spark: SparkSession) -> Iterator[None]:
    """The body's errors are told by the job, and not by Spark's log too."""
    _log(spark, "OFF")
    try:
        yield
    finally:
        _log(spark, LOG_LEVEL)


def _log(spark: SparkSession, level: str) -> None:
    if not is_remote():  # else the log is the server's
        spark.sparkContext.setLogLevel(level)


def remove_if_empty(spark: SparkSession, path: str) -> None:
    """Remove the directory that a failed write leaves; Spark Connect has no way to."""
    if is_remote():
        return
    context: Any = spark.sparkContext
    place = context._jvm.org.apache.hadoop.fs.Path(path)
    files = place.getFileSystem(context._jsc.hadoopConfiguration())
    if files.exists(place) and not files.listFiles(place, True).hasNext():
        files.delete(place, True)


def is_of_spark(error: BaseException) -> bool:
    """Whether an error is one that Spark raised, by whatever interface."""
    return type(error).__module__.split(".")[0] in ("pyspark", "py4j")
