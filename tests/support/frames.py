"""DataFrames from arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

Array = npt.NDArray[np.float64]


def frame(spark: SparkSession, features: Array, label: Array, partitions: int = 2, **columns: Array) -> DataFrame:
    """A DataFrame with a dense vector column ``features``, ``label`` and more columns of numbers, in row order."""
    data = pd.DataFrame({"features": features.tolist(), "label": label} | columns)
    df = spark.createDataFrame(data).withColumn("features", array_to_vector("features"))
    return in_partitions(df, partitions)


def sparse_frame(spark: SparkSession, features: sparse.csr_array, label: Array, partitions: int = 2) -> DataFrame:
    """The same with sparse vectors."""
    starts = features.indptr
    rows = [
        (Vectors.sparse(features.shape[1], features.indices[a:b], features.data[a:b]), float(y))
        for a, b, y in zip(starts, starts[1:], label, strict=False)
    ]
    return in_partitions(spark.createDataFrame(rows, ["features", "label"]), partitions)


def in_partitions(df: DataFrame, partitions: int) -> DataFrame:
    """The rows in contiguous partitions of nearly equal size, in order."""
    rows = df.count()
    numbered = df.rdd.zipWithIndex().map(lambda pair: (pair[1] * partitions // max(rows, 1), pair[0]))
    cut = numbered.partitionBy(partitions, int).values()
    return df.sparkSession.createDataFrame(cut, df.schema)


def with_nulls(df: DataFrame, column: str, every: int = 10) -> DataFrame:
    """The DataFrame with a null in some rows of a column."""
    keep = F.monotonically_increasing_id() % every != 0
    return df.withColumn(column, F.when(keep, F.col(column)))
