"""What is said to be small is small: whatever makes arrays and strings long is not believed to keep them short."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparkgd.engine.classic.known_size import is_small
from sparkgd.ml.columns import InputColumns, select_input

ROWS = 2000


def array(expression: str, count: int) -> str:
    """SQL of an array of an expression for 1 to ``count`` in place of ``j``."""
    return f"array({', '.join(expression.replace('j', str(j)) for j in range(1, count + 1))})"


GROWING = {
    "generated columns": array("sin(id * j)", 100),
    "sequence": "sequence(0, 100 + id % 2)",
    "constant sequence": "sequence(0, 100)",
    "transform": "transform(sequence(1, 100), j -> sin(j + id))",
    "array_repeat": "array_repeat(sin(id), 100)",
    "repeat": "repeat(string(id), 300)",
    "split": "cast(split(concat(string(id), repeat(',1', 100)), ',') as array<double>)",
    "insert": "array_insert(array(id), 100, id)",
    "arrays in arrays": array("array(id + j, id - j)", 50),
    "many arrays": f"concat({', '.join([array('id + j', 10)] * 10)})",
    "by case": "case when id > 5 then sequence(0, 100) else array(0) end",
}


@pytest.mark.parametrize("kind", GROWING)
def test_what_grows_a_range_is_not_small(spark, kind):
    df = spark.range(ROWS).select(F.expr(GROWING[kind]).alias("features"))
    assert not is_small(df, df.toArrow().nbytes // 2)


@pytest.mark.parametrize("kind", GROWING)
def test_nor_what_grows_local_rows(spark, kind):
    local = spark.createDataFrame(pd.DataFrame({"id": np.arange(ROWS)}))
    for df in (
        local.select(F.expr(GROWING[kind]).alias("features")),
        local.union(local).select(F.expr(GROWING[kind]).alias("x")),
    ):
        assert not is_small(df, df.toArrow().nbytes // 2)


def test_nor_what_grows_arrays_that_are_cached(spark):
    held = spark.createDataFrame([([float(i)] * 20, i) for i in range(200)], "x array<double>, id long").cache()
    try:
        size = held.select("x").toArrow().nbytes
        held.count()
        growing = (F.concat(*["x"] * 10), F.array_repeat("x", 10), F.array(*["x"] * 10), F.flatten(F.array(*["x"] * 9)))
        for column in (*growing, F.transform("x", lambda v: F.array(*[v] * 10))):
            assert not is_small(held.select(column.alias("features")), 4 * size)
            assert not is_small(held.select(F.col("x").cast("array<string>")), 4 * size)
        assert is_small(held.select(F.concat("x", "x").alias("features")), 4 * size)
        assert is_small(held.select("x"), 2 * size)
    finally:
        held.unpersist()


def test_narrow_integers_are_wider_as_doubles(spark):
    held = spark.createDataFrame([(bytes(800),)] * 500, "b binary").select(
        F.transform(F.sequence(F.lit(1), F.lit(800)), lambda j: (j % 7).cast("byte")).alias("x")
    )
    held = held.cache()
    try:
        held.count()
        df = held.select(F.col("x").cast("array<double>"))
        assert not is_small(df, df.toArrow().nbytes // 2)
    finally:
        held.unpersist()


def rows(spark):
    data = [(float(i % 2), [float(i), 2.0], Vectors.dense(1.0, i), Vectors.sparse(9, [2], [1.0 * i]), i, True)
            for i in range(300)]  # fmt: skip
    return spark.createDataFrame(data, ["label", "array", "dense", "sparse", "n", "flag"])


INPUTS = {
    "dense": InputColumns("dense", "label", "n", None, "flag"),
    "sparse": InputColumns("sparse", "label"),
    "array": InputColumns("array", "n", "label", "label"),
    "numbers": InputColumns(("n", "label", "n"), "label"),
    "computed": InputColumns(("log", "n"), "binary"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_what_fits_read_of_cached_rows_is_small(spark, kind):
    held = rows(spark).cache()
    try:
        assert not is_small(held, 1 << 40)  # not before it is in the cache
        size = held.toArrow().nbytes
        computed = held.withColumn("log", F.log1p("n")).withColumn("binary", F.when(F.col("n") > 9, 1.0).otherwise(0.0))
        df = select_input(computed.where("n < 200").limit(150), INPUTS[kind])
        assert is_small(df, 4 * size)
        assert not is_small(df, 100)
    finally:
        held.unpersist()


@pytest.mark.parametrize("arrow", ["true", "false"])
def test_local_rows_are_small_as_they_are(spark, arrow):
    frame = pd.DataFrame({"a": np.arange(500.0), "features": [[1.0, 2.0, 3.0]] * 500})
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", arrow)
    try:
        local = spark.createDataFrame(frame)
        assert is_small(local, 1 << 20) == is_small(local.select("features"), 1 << 20)
        if arrow == "true":
            assembled = VectorAssembler(inputCols=["a", "a"], outputCol="x").transform(local)
            for df in (local, select_input(assembled, InputColumns("x", "a"))):
                assert is_small(df, 1 << 20)
                assert not is_small(df, df.toArrow().nbytes // 2)
    finally:
        spark.conf.unset("spark.sql.execution.arrow.pyspark.enabled")


def test_rows_computed_by_functions_that_spark_cannot_see_into_are_not_small(spark):
    held = spark.createDataFrame([(1.0, 2.0)] * 10, "a double, b double").cache()
    try:
        held.count()
        assert is_small(held, 1 << 20)
        assert not is_small(VectorAssembler(inputCols=["a", "b"], outputCol="x").transform(held), 1 << 20)
    finally:
        held.unpersist()
