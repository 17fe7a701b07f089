"""Arrow batches stay within bounds whatever the session allows, and the session stays as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from sparkgd.engine.base import Packing
from sparkgd.engine.classic import arrow_batches
from sparkgd.engine.classic.arrow_batches import MAX_BATCH_BYTES, bounded_batches
from sparkgd.engine.classic.executors import ClassicExecutors
from sparkgd.engine.ingest import ingest
from tests.support.leftovers import nothing_left

COLUMNS = 100_000
ROW_BYTES = 8 * COLUMNS


@pytest.fixture
def unbounded(spark):
    """A session that allows batches of 2 GB."""
    spark.conf.set(MAX_BATCH_BYTES, str(2**31 - 2))
    yield str(2**31 - 2)
    spark.conf.unset(MAX_BATCH_BYTES)


def wide_rows(spark, rows):
    features = F.transform(F.sequence(F.lit(1), F.lit(COLUMNS)), lambda j: F.sin(j + F.col("id")))
    return spark.range(rows, numPartitions=1).select(features.alias("features"), F.cos("id").alias("label"))


def batch_rows(df):
    """An RDD of the rows of each Arrow batch."""

    def sizes(batches):
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"rows": [batch.num_rows]})

    return df.mapInArrow(sizes, "rows long").rdd


def test_batches_are_bounded_by_bytes_while_an_rdd_is_made(spark, unbounded, monkeypatch):
    monkeypatch.setattr(arrow_batches, "BATCH_BYTES", 8 * ROW_BYTES)
    df = wide_rows(spark, 60)
    with bounded_batches(df):
        bounded = batch_rows(df)
    assert spark.conf.get(MAX_BATCH_BYTES) == unbounded
    found = [row.rows for row in bounded.collect()]
    assert sum(found) == 60
    assert max(found) <= 8 + 1
    assert [row.rows for row in batch_rows(df).collect()] == [60]


def test_wide_dense_rows_are_packed_in_several_batches(spark, unbounded, monkeypatch):
    monkeypatch.setattr(arrow_batches, "BATCH_BYTES", 8 * ROW_BYTES)
    with nothing_left(spark):
        packed = ingest(wide_rows(spark, 60), Packing(dtype="float32"), 1 << 30)
        try:
            (block,) = packed.blocks()
            expected = np.sin(np.arange(1, COLUMNS + 1)[None, :] + np.arange(60)[:, None])
            np.testing.assert_allclose(block.features.dense(), expected, rtol=1e-4, atol=1e-6)
        finally:
            packed.release()
    assert spark.conf.get(MAX_BATCH_BYTES) == unbounded


@pytest.mark.parametrize("own", ["1048576", "32m"])
def test_a_lower_bound_of_the_users_own_is_kept(spark, unbounded, own):
    spark.conf.set(MAX_BATCH_BYTES, own)
    with bounded_batches(spark.range(3)):
        assert spark.conf.get(MAX_BATCH_BYTES) == own
    assert spark.conf.get(MAX_BATCH_BYTES) == own


def test_fits_at_the_same_time_and_failures_leave_the_setting_alone(spark, unbounded):
    def visit(number):
        with bounded_batches(spark.range(3)):
            if number % 2:
                raise ValueError(number)
            return spark.conf.get(MAX_BATCH_BYTES)

    with ThreadPoolExecutor(8) as pool:
        visits = [pool.submit(visit, number) for number in range(40)]
    assert {visit.result() for visit in visits[::2]} == {str(arrow_batches.BATCH_BYTES)}
    assert all(visit.exception() is not None for visit in visits[1::2])
    assert spark.conf.get(MAX_BATCH_BYTES) == unbounded


def test_rows_known_to_be_few_are_not_measured_and_no_setting_stays_behind(spark):
    conf = spark._jsparkSession.sessionState().conf()
    assert not conf.contains(MAX_BATCH_BYTES)
    with bounded_batches(spark.range(3)):
        assert conf.arrowMaxBytesPerBatch() == arrow_batches.UNMEASURED
    assert not conf.contains(MAX_BATCH_BYTES)
    exploded = spark.range(3).select(F.explode(F.sequence(F.lit(1), F.lit(3))))
    with bounded_batches(exploded):
        assert conf.arrowMaxBytesPerBatch() <= arrow_batches.BATCH_BYTES
    assert not conf.contains(MAX_BATCH_BYTES)


@pytest.mark.parametrize(
    ("rows", "row_bytes", "records", "is_measured"),
    [
        (10**6, 800, 10_000, False),
        (10**6, 800, 0, True),  # Spark reads 0 as no limit
        (10**6, 2000, 10_000, True),  # 2 GB: one batch might have them all
        (5000, 100_000, 10_000, True),  # a batch would have half of them
        (50, 100_000, 0, False),
    ],
)
def test_rows_are_measured_where_batches_may_grow_too_large(monkeypatch, rows, row_bytes, records, is_measured):
    monkeypatch.setattr(arrow_batches, "is_small", lambda df, limit: rows * row_bytes <= limit)
    monkeypatch.setattr(arrow_batches, "mean_row_bytes", lambda df: row_bytes)
    assert arrow_batches._stay_within(None, records, 64 << 20) != is_measured


@pytest.mark.parametrize("ship_bytes", [1 << 30, -1])
def test_what_local_mode_reads_from_files_is_what_other_executors_send(spark, monkeypatch, ship_bytes):
    columns = [F.sin(F.col("id") * j).alias(f"x{j}") for j in range(1, 6)]
    df = spark.range(4000, numPartitions=2).select(F.array(*columns).alias("features"), F.cos("id").alias("label"))
    found = []
    for here in (True, False):
        with nothing_left(spark):
            with monkeypatch.context() as patched:
                patched.setattr(ClassicExecutors, "share_disks", here)
                packed = ingest(df, Packing(), ship_bytes)
            packed.release()
        found.append(packed)
    read, sent = found
    assert sorted(read.partitions) == sorted(sent.partitions) == [0, 1]
    for index, part in sent.partitions.items():
        assert (part.block is None) == (ship_bytes < 0)
        same = read.partitions[index]
        for mine, theirs in ((part.block, same.block), (part.shipped_sample, same.shipped_sample)):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                np.testing.assert_array_equal(mine.features.dense(), theirs.features.dense())
                np.testing.assert_array_equal(mine.label, theirs.label)
                np.testing.assert_array_equal(mine.weight, theirs.weight)
        assert part.statistics.keys() == same.statistics.keys()
