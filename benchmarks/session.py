"""The Spark session of the benchmarks."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession


def local_session(master: str, memory: str = "8g") -> SparkSession:
    """A session whose Python workers import this checkout; ``memory`` is the heap of the driver's JVM."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    root = str(Path(__file__).resolve().parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    warnings.simplefilter("ignore")
    spark = _configured(SparkSession.builder.master(master), memory).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def local_remote_session(master: str, memory: str = "8g") -> SparkSession:
    """The same over Spark Connect, to a server that this process starts with the same settings."""
    return _configured(SparkSession.builder.remote(master), memory).getOrCreate()


def _configured(builder: Any, memory: str) -> Any:
    builder = builder.appName("sparkgd benchmark").config("spark.driver.memory", memory)
    builder = builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    return builder.config("spark.python.unix.domain.socket.enabled", "true")
