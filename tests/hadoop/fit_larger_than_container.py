"""Job of tests/hadoop/test_memory_check.py: ``fit_larger_than_container.py ROWS COLUMNS ACCESS``.

Prints one JSON line: the bits of a fit, the bytes of its blocks, and why executors have gone.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression


def frame(spark: SparkSession, rows: int, columns: int) -> DataFrame:
    """Rows that executors compute."""
    features = F.array(*[(F.col("id") * (0.6180339887 * (j + 1))) % 1.0 for j in range(columns)])
    label = (F.sin("id") + F.col("id") * 0.6180339887 % 1.0 > 0.5).cast("double")
    return spark.range(rows, numPartitions=2).select(features.alias("features"), label.alias("label"))


def fit(df: DataFrame, access: str) -> dict[str, Any]:
    """Bits and bytes of a fit."""
    model = LogisticRegression(
        solver="nesterov", regParam=1e-2, maxIter=2, tol=0.0, execution="cluster", blockAccess=access
    ).fit(df)
    return {
        "bits": [float(value).hex() for value in [*model.coefficients, model.intercept]],
        "blocks": sum(part.bytes for part in model.summary.partitionStats),
    }


def main(rows: str, columns: str, access: str) -> None:
    """Run the fit."""
    spark = SparkSession.builder.getOrCreate()
    found = fit(frame(spark, int(rows), int(columns)), access)
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    each = [executors.apply(number) for number in range(executors.size())]
    print(json.dumps(found | {"gone": [str(one.removeReason()) for one in each if not one.isActive()]}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
