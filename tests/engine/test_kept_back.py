"""Statistics larger than a partition's share of what the driver can receive come by a second job, all or none."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.linalg import Vectors

from sparkgd.classification import LogisticRegression
from sparkgd.data.columns import read_batch
from sparkgd.data.writer import WIDE, pack
from sparkgd.engine import kept_back
from sparkgd.engine.base import Packing
from sparkgd.engine.classic.executors import ClassicExecutors
from sparkgd.engine.ingest import ingest
from sparkgd.engine.kept_back import completed, without_details
from sparkgd.engine.limits import DriverLimits
from sparkgd.engine.packed import PackedPartition
from sparkgd.exceptions import InvalidDataError, InvalidParamError
from tests.support.blocks import assert_close_statistics
from tests.support.leftovers import nothing_left

PARTITIONS, ROWS = 4, 80

ONE_KEEPS_BACK = PARTITIONS * 8000
"""Of the `source`, partition 1 alone has longer statistics than its share of these bytes."""


@pytest.fixture(autouse=True)
def no_coalescing(monkeypatch):
    """Keep the partitions, which are more than the session has slots."""
    monkeypatch.setattr(ClassicExecutors, "slots", None)


def source(spark, change=None, width=WIDE):
    """Sparse rows: those of partition 1 have forty values, all others one; ``change(index)`` is added to them."""

    def read(index, numbers):
        rng = np.random.default_rng(index)
        for _ in numbers:
            columns = np.sort(rng.choice(width, 40, replace=False)) if index == 1 else np.array([7])
            values = [float(x) for x in rng.normal(size=len(columns)) + (0.0 if change is None else change(index))]
            yield values, [*columns.tolist(), width], float(rng.random() < (0.9 if index == 1 else 0.1))

    rdd = spark.sparkContext.parallelize(range(ROWS), PARTITIONS).mapPartitionsWithIndex(read)
    return spark.createDataFrame(rdd, "features array<double>, indices array<int>, label double")


def test_what_takes_more_than_its_share_is_kept_back_with_its_size(tmp_path):
    wide = {"features": [[1.0, 2.0], [3.0]], "indices": [[5, 77, WIDE], [9000, WIDE]], "label": [0.0, 1.0]}
    handle = pack([read_batch(pa.RecordBatch.from_pydict(wide))], tmp_path, "float64")
    details = kept_back._details(handle)
    part = PackedPartition(handle, details.statistics, 0.5, None, details.columns)
    size = (Path(handle.path) / "statistics").stat().st_size + 4 * len(details.columns)
    assert without_details(part, size) is part
    kept = without_details(part, size - 1)
    assert (kept.statistics, kept.columns, kept.kept_back, kept.seconds) == ({}, None, size, 0.5)


def same_statistics(found, expected):
    assert found.keys() == expected.keys()
    for group, statistics in expected.items():
        assert_close_statistics(found[group], statistics)


@pytest.fixture
def room(monkeypatch):
    """The driver can receive all that is kept back, whatever the shares."""
    monkeypatch.setattr(ClassicExecutors, "limits", DriverLimits(1 << 30, 1 << 40))


@pytest.mark.parametrize("most_bytes", [0, ONE_KEEPS_BACK], ids=["all", "one"])
@pytest.mark.parametrize("ship_bytes", [1 << 40, 0])
def test_every_partition_has_its_statistics(spark, room, most_bytes, ship_bytes):
    with nothing_left(spark):
        expected = ingest(source(spark), Packing(by_label=True), ship_bytes)
        expected.release()
        found = ingest(source(spark), Packing(by_label=True), ship_bytes, most_bytes)
        found.release()
    same_statistics(found.statistics(), expected.statistics())
    for index, part in expected.partitions.items():
        mine = found.partitions[index]
        assert mine.statistics
        assert mine.kept_back == 0
        np.testing.assert_array_equal(mine.columns, part.columns)
        assert (mine.block is None) == (part.block is None)


def test_a_sample_has_rows_of_every_partition(spark, room):
    """Samples of partitions that kept their statistics back are like all others."""
    df = spark.range(4000, numPartitions=PARTITIONS).selectExpr(
        "array(cos(id), sin(id)) as features", "double(id % 2) as label"
    )
    for ship_bytes in (1 << 40, 0):
        samples = []
        for most_bytes in (1 << 40, 0):
            data = ingest(df, Packing(), ship_bytes, most_bytes=most_bytes)
            data.release()
            samples.append(data.sample())
        assert [block.rows for block in samples[1]] == [block.rows for block in samples[0]]
        assert len(samples[0]) == PARTITIONS


def test_a_fit_is_that_of_statistics_that_came_at_once(spark, room, monkeypatch):
    """Without those of partition 1, which has most of the columns, the penalty was another one."""
    estimator = LogisticRegression(execution="cluster", regParam=0.1)
    rows = source(spark).rdd.map(lambda row: (Vectors.sparse(WIDE, row.indices[:-1], row.features), row.label))
    df = spark.createDataFrame(rows, ["features", "label"])
    expected = estimator.fit(df)
    monkeypatch.setattr(DriverLimits, "collectable", ONE_KEEPS_BACK)
    with nothing_left(spark):
        found = estimator.fit(df)
    np.testing.assert_array_equal(found.coefficients.toArray(), expected.coefficients.toArray())


def test_statistics_that_do_not_fit_together_are_refused(spark, monkeypatch):
    monkeypatch.setattr(ClassicExecutors, "limits", DriverLimits(1 << 30, 100_000))
    with nothing_left(spark), pytest.raises(InvalidParamError, match=r"ingest would send .*spark\.driver\.memory"):
        ingest(source(spark), Packing(), 0, most_bytes=ONE_KEEPS_BACK)


@pytest.mark.parametrize("changes", [False, True])
def test_what_is_not_on_this_machine_is_packed_again(spark, room, tmp_path, changes):
    marker = str(tmp_path / "changed")

    def change(index):
        return float(index == 2 and os.path.exists(marker))

    with nothing_left(spark):
        data = ingest(source(spark, change), Packing(), 0)
        try:
            lacking = {index: without_details(part, 0) for index, part in data.partitions.items()}
            for index in (1, 2):
                shutil.rmtree(data.partitions[index].handle.path)
            if changes:
                open(marker, "w").close()
                with pytest.raises(InvalidDataError, match="the input changed while it was read again"):
                    completed(lacking, data.handles, data.executors.limits)
            else:
                found = completed(lacking, data.handles, data.executors.limits)
                same_statistics(replace(data, partitions=found).statistics(), data.statistics())
        finally:
            data.release()
