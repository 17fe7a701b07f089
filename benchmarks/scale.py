"""How a fit's time grows with rows, partitions and skew: ``python -m benchmarks.scale``.

The same synthetic problem in several shapes, cached and fitted in turn; medians and ratios are quoted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.session import local_session
from sparkgd.classification import LogisticRegression

LIMITS = {"four times the rows": 4.3, "90% of rows in one of 8 partitions": 1.3, "2,000 partitions against 4": 1.5}


def rows_of(spark: SparkSession, rows: int, columns: int, partitions: int) -> DataFrame:
    """Gaussian columns ``features`` and a label that depends on ten of them."""
    features = F.array(*[F.randn(j) for j in range(columns)])
    df = spark.range(rows, numPartitions=partitions).select("id", features.alias("features"))
    margin = sum((F.col("features")[j] for j in range(10)), F.randn(1001))
    return df.select("id", "features", (margin > 0).cast("double").alias("label"))


def shapes(spark: SparkSession, rows: int, columns: int) -> dict[str, DataFrame]:
    """The problem's shapes, cached."""
    whole = rows_of(spark, rows, columns, 4)
    # Of eight ranges of the key the first has nine rows in ten.
    key = F.when(F.rand(7) < 0.9, 0).otherwise(F.col("id") % 7 + 1)
    found = {
        "whole": whole,
        "quarter": rows_of(spark, rows // 4, columns, 4),
        "tiny partitions": rows_of(spark, rows, columns, 2000),
        "balanced": whole.repartition(8),
        "skewed": whole.withColumn("key", key).repartitionByRange(8, "key").drop("key"),
    }
    for name, df in found.items():
        found[name] = df.drop("id").cache()
        sizes = found[name].groupBy(F.spark_partition_id()).count().toPandas()["count"]
        print(f"{name}: {sizes.sum()} rows in {len(sizes)} partitions, the largest of {sizes.max()}", flush=True)
    return found


def main() -> None:
    """Print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    spark = local_session("local[2]")
    data = shapes(spark, options.rows, options.columns)
    estimator = LogisticRegression(regParam=1e-4)
    seconds: dict[str, list[float]] = {name: [] for name in data}
    for run in range(options.repeats + 1):
        for name, df in data.items():
            began = time.perf_counter()
            estimator.fit(df)
            if run:
                seconds[name].append(time.perf_counter() - began)
    spark.stop()
    median = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {
        "four times the rows": median["whole"] / median["quarter"],
        "90% of rows in one of 8 partitions": median["skewed"] / median["balanced"],
        "2,000 partitions against 4": median["tiny partitions"] / median["whole"],
    }
    print(json.dumps({"medians": median, "ratios": ratios}))
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times the seconds (at most {LIMITS[name]:g})")


if __name__ == "__main__":
    main()
