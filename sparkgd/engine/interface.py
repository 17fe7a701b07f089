"""Which of its two interfaces a Spark session has: classic Spark with a JVM in reach, or Spark Connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkgd.engine.executors import Executors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def is_connected(spark: SparkSession) -> bool:
    """Whether a session is one of Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect.")


def executors_of(spark: SparkSession) -> Executors:
    """The executors of a session."""
    if is_connected(spark):
        from sparkgd.engine.connect.executors import ConnectExecutors

        return ConnectExecutors(spark)
    from sparkgd.engine.classic.executors import ClassicExecutors

    return ClassicExecutors(spark)
