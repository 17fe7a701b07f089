"""The one Hadoop cluster of the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from scripts.hadoop.cluster import HadoopCluster
from scripts.hadoop.jars import Unavailable
from scripts.hadoop.processes import processes_in
from tests.support.environment import ROOT
from tests.support.yarn import COLUMNS


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """HDFS and YARN with two nodes each; nothing of them runs afterwards."""
    scratch = tmp_path_factory.mktemp("hadoop")
    try:
        cluster = HadoopCluster(scratch)
    except Unavailable as reason:
        pytest.skip(f"no Hadoop cluster: {reason}")
    with cluster:
        yield cluster
    assert processes_in(scratch) == []


@pytest.fixture(scope="session")
def source(spark: SparkSession, hadoop: HadoopCluster) -> str:
    """Path of rows in HDFS, on which a gradient method needs more than the rounds that it is given."""
    columns = [F.pow(F.sin(F.col("id") * 0.37), F.lit(j + 1)).alias(name) for j, name in enumerate(COLUMNS)]
    label = (F.sin(F.col("id") * 0.37) + F.cos(F.col("id") * 1.9) > 0.3).cast("double").alias("label")
    path = f"{hadoop.filesystem}/yarn/rows.parquet"
    spark.range(20_000, numPartitions=4).select(*columns, label).write.parquet(path)
    return path


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip that users submit."""
    path = tmp_path_factory.mktemp("package") / "sparkgd.zip"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_zip.py"), str(path)], check=True)
    return path
