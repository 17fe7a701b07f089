"""Time and peak memory of fits of very many sparse columns: ``python -m benchmarks.wide 5000000 20000000``.

Rows have 30 stored values in columns drawn uniformly, the worst case for partial sums: hardly a column is shared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pyspark.ml.linalg import SparseVector, VectorUDT
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DoubleType, StructField, StructType

from benchmarks.memory import PeakMemory
from benchmarks.session import local_session
from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import SparkGDError

ROWS, STORED, PARTITIONS = 200_000, 30, 2


def rows_of(partition: int, columns: int) -> Iterator[tuple[SparseVector, float]]:
    """Random rows whose labels depend on the columns' numbers. Runs on executors."""
    random = np.random.default_rng(partition)
    for _ in range(ROWS // PARTITIONS):
        indices = np.unique(random.integers(0, columns, STORED))
        score = np.sin(indices).sum() + random.normal()
        yield SparseVector(columns, indices, np.ones(len(indices))), float(score > 0.0)


def wide(spark: SparkSession, columns: int) -> DataFrame:
    """The rows, written once to parquet."""
    path = Path(tempfile.gettempdir()) / f"sparkgd-wide-{columns}"
    if not (path / "_SUCCESS").exists():
        schema = StructType([StructField("features", VectorUDT()), StructField("label", DoubleType())])
        partitions = spark.sparkContext.parallelize(range(PARTITIONS), PARTITIONS)
        rows = partitions.flatMap(lambda partition: rows_of(partition, columns))
        spark.createDataFrame(rows, schema).write.mode("overwrite").parquet(str(path))
    return spark.read.parquet(str(path))


def measure(spark: SparkSession, columns: int, max_iter: int) -> None:
    """Fit once and print what it took."""
    frame = wide(spark, columns)
    spark.range(1).rdd.map(lambda row: row).collect()  # Python workers are up
    began = time.perf_counter()
    with PeakMemory() as memory:
        try:
            model = LogisticRegression(regParam=1e-4, maxIter=max_iter, execution="cluster").fit(frame)
        except SparkGDError as error:
            print(f"{columns} columns: refused after {time.perf_counter() - began:.1f} s: {error}")
            return
        finally:
            sizes = ", ".join(f"{role} {size:.0f} MB" for role, size in memory.by_role.items())
            print(f"{columns} columns: peaks {sizes}", flush=True)
    summary = model.summary
    print(summary)
    seconds = sorted(summary.secondsPerRound)
    print(
        f"{columns} columns: {time.perf_counter() - began:.1f} s; ingest {summary.ingestSeconds:.1f} s, "
        f"round {seconds[len(seconds) // 2]:.2f} s (longest {seconds[-1]:.2f} s)",
        flush=True,
    )


def main() -> None:
    """Fit each number of columns given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("columns", type=int, nargs="+")
    parser.add_argument("--memory", default="1g", help="heap of the driver's JVM")
    parser.add_argument("--maxIter", type=int, default=20)
    arguments = parser.parse_args(sys.argv[1:])
    spark = local_session("local[2]", arguments.memory)
    for columns in arguments.columns:
        measure(spark, columns, arguments.maxIter)
    spark.stop()


if __name__ == "__main__":
    main()
