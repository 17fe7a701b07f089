"""Where files of executors do not last, a fit steps down to what does: the same bits, and the summary says so."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.data.balance import RowRange
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.executors import LocalPairs
from sparkgd.engine.ingest import ResidentPacked
from sparkgd.engine.limits import DriverLimits
from sparkgd.engine.storage import PATIENCE
from sparkgd.exceptions import InvalidDataError
from tests.engine import test_cluster
from tests.engine.test_cluster import KERNELS, assert_same_bits, no_coalescing, packed
from tests.support.leftovers import nothing_left

__all__ = ["no_coalescing"]  # a fixture


@pytest.fixture(autouse=True)
def few_partitions(monkeypatch):
    """Rounds that lose files take several jobs."""
    monkeypatch.setattr(test_cluster, "PARTITIONS", 3)


every_share = pytest.mark.parametrize("is_cut", [False, True], ids=["partitions", "halves"])


@contextmanager
def engine_of(data: ResidentPacked, is_cut: bool = False) -> Iterator[ClusterEngine]:
    """Its shares are partitions, or halves of them."""
    rows = {index: part.handle.rows for index, part in sorted(data.partitions.items())}
    halves = [RowRange(i, *ends) for i, n in rows.items() for ends in ((0, n // 2), (n // 2, n))]
    engine = ClusterEngine(data, ranges=halves if is_cut else ())
    try:
        yield engine
    finally:
        engine.release()


def delete_blocks(spark) -> None:
    root = spark.sparkContext.getConf().get("spark.local.dir")
    for path in glob.glob(f"{root}/**/sparkgd-*", recursive=True):
        shutil.rmtree(path, ignore_errors=True)


def forget_cached(spark) -> None:
    """What losing every executor does to what Spark keeps; as often as a fit asks, it is computed again."""
    for rdd in spark.sparkContext._jsc.getPersistentRDDs().values():
        level = rdd.getStorageLevel()
        rdd.unpersist(True)
        rdd.persist(level)


def test_blocks_that_are_lost_before_they_are_fetched_are_packed_again(spark, tmp_path):
    marker = tmp_path / "changed"

    def change(index, rows):
        return rows[1:] if index == 1 and marker.exists() else rows

    with packed(spark, change=change) as data:
        for index, part in data.partitions.items():
            data.partitions[index] = replace(part, block=None)  # as if ingest had not shipped them
        expected = data.blocks()
        delete_blocks(spark)
        for found, block in zip(data.blocks(), expected, strict=True):
            np.testing.assert_array_equal(found.features.dense(), block.features.dense())
            np.testing.assert_array_equal(found.label, block.label)
        marker.touch()
        with pytest.raises(InvalidDataError, match="the input changed while it was read again"):
            data.blocks()


@every_share
def test_files_that_are_lost_once_are_written_again(spark, is_cut):
    with nothing_left(spark), packed(spark) as data, engine_of(data, is_cut) as engine:
        before = engine.round(KERNELS)
        delete_blocks(spark)
        for _ in range(PATIENCE + 2):
            assert_same_bits(engine.round(KERNELS), before)
        assert engine.storage == "local files"
        assert engine._storage._losses == 0, "the last rounds found all files"


@every_share
def test_files_that_do_not_last_are_done_without(spark, is_cut):
    with nothing_left(spark), packed(spark) as data, engine_of(data, is_cut) as engine:
        before = engine.round(KERNELS)
        for _ in range(2 * PATIENCE + 1):
            delete_blocks(spark)
            assert_same_bits(engine.round(KERNELS), before)
        assert engine.storage.startswith("cached blocks, since files were missing in 3 rounds in a row")
        for _ in range(3):
            delete_blocks(spark)
            assert_same_bits(engine.round(KERNELS), before)
        assert engine.storage.startswith("cached blocks")
        for _ in range(PATIENCE + 1):
            forget_cached(spark)
            assert_same_bits(engine.round(KERNELS), before)
        assert engine.storage.startswith("memory of this process, since Spark lost most of its cached blocks")
        assert_same_bits(engine.round(KERNELS), before)
        engine.release()


def test_what_this_process_cannot_hold_stays_where_it_is(spark):
    with nothing_left(spark), packed(spark) as data, engine_of(data) as engine:
        before = engine.round(KERNELS)
        for _ in range(2 * PATIENCE + 1):
            delete_blocks(spark)
            engine.round(KERNELS)
        object.__setattr__(data, "executors", SmallDriver(data.executors))
        for _ in range(2 * PATIENCE + 1):
            forget_cached(spark)
            assert_same_bits(engine.round(KERNELS), before)
        assert engine.storage.startswith("cached blocks")


class SmallDriver:
    """Executors of a driver that can receive next to nothing."""

    limits = DriverLimits(10, 10)

    def __init__(self, executors) -> None:
        self._executors = executors

    def __getattr__(self, name):
        return getattr(self._executors, name)


def test_a_source_that_has_changed_is_noticed_in_the_cache_too(spark, tmp_path):
    marker = tmp_path / "changed"

    def change(index, rows):
        return [([9.0, x[1], x[2]], y) for x, y in rows] if index == 1 and marker.exists() else rows

    with packed(spark, change=change) as data, engine_of(data) as engine:
        engine.round(KERNELS)
        for _ in range(2 * PATIENCE + 1):
            delete_blocks(spark)
            engine.round(KERNELS)
        engine.round(KERNELS)
        marker.touch()
        forget_cached(spark)
        with pytest.raises(InvalidDataError, match="the input changed while it was read again"):
            engine.round(KERNELS)


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
def test_the_summary_says_what_a_fit_came_to(spark):
    rows = spark.range(4000, numPartitions=4).selectExpr(
        "sin(id) a", "cos(id) b", "cast(sin(id * 3) > 0.1 as double) label"
    )
    estimator = LogisticRegression(featuresCols=["a", "b"], solver="gd", maxIter=12, tol=0.0, execution="cluster")
    with nothing_left(spark):
        expected = estimator.fit(rows)
        found = estimator.copy().setCallbacks([lambda record: delete_blocks(spark)]).fit(rows)
    assert expected.summary.storage == "local files"
    assert found.summary.storage.startswith("cached blocks, since")
    assert "; cached blocks, since files were missing in 3 rounds in a row, twice" in repr(found.summary)
    np.testing.assert_array_equal(found._weights, expected._weights)


def test_pairs_of_this_process_are_as_those_of_executors():
    pairs = LocalPairs([(2, "a"), (1, "b"), (2, "c")])
    assert pairs.exchanged(3).collect() == [(1, "b"), (2, "a"), (2, "c")]
    assert pairs.only([1]).collect() == [(1, "b")]
    assert pairs.plus([(0, "d")]).through(lambda each: (pair for pair in each if pair[0] < 2)).collect() == [
        (1, "b"),
        (0, "d"),
    ]
