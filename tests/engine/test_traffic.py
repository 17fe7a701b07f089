"""A round moves no data: blocks stay on the worker's side."""

from __future__ import annotations

import numpy as np
from pyspark.sql import functions as F

from sparkgd.regression import LinearRegression
from tests.support.processes import bytes_read, descendants

ROUNDS, ROWS, COLUMNS = 50, 500_000, 100


def test_fifty_rounds_over_400_megabytes_move_less_than_ten(spark):
    columns = F.array(*[F.sin(F.col("id") * (0.1 + j)) for j in range(COLUMNS)])
    df = spark.range(ROWS, numPartitions=2).select(columns.alias("features"), F.cos("id").alias("label"))
    reads: list[int] = []
    estimator = LinearRegression(solver="gd", stepSize=0.01, schedule="constant", maxIter=ROUNDS, tol=0.0)
    estimator.setExecution("cluster").setCallbacks(
        [lambda record: reads.append(bytes_read(descendants("pyspark.daemon")))]
    )
    model = estimator.fit(df)
    assert sum(part.bytes for part in model.summary.partitionStats) >= 8 * ROWS * COLUMNS
    assert len(reads) == ROUNDS + 1
    assert model.summary.execution == "cluster"
    assert np.diff(reads).sum() < 10e6
