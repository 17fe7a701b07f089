"""What still runs when a job has failed writes nothing after the failure was cleaned up."""

from __future__ import annotations

import os
import shutil
import time

import pytest
from pyspark import TaskContext

from sparkgd.engine import ingest as ingest_module
from sparkgd.engine.base import Packing
from sparkgd.engine.classic.failed_jobs import no_task_outlives
from sparkgd.engine.ingest import ingest
from tests.support.leftovers import nothing_left, traces


def running_tasks(spark) -> int:
    infos = spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
    return sum(info.numRunningTasks() for info in infos)


def wait_for(condition, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_slow_task_packs_nothing_after_another_failed(spark, monkeypatch, tmp_path):
    """The slow one waits for the clean-up, in vain if that waits for it."""
    started, cleaned = str(tmp_path / "started"), str(tmp_path / "cleaned")
    make = ingest_module._packer

    def packer(*args):
        inner = make(*args)

        def pack_partition(batches):
            if TaskContext.get().partitionId() == 0:
                wait_for(lambda: os.path.exists(started), 20)
                raise ValueError("partition 0")
            open(started, "w").close()
            wait_for(lambda: os.path.exists(cleaned), 3.0)
            yield from inner(batches)

        return pack_partition

    def release(executors, handles, name, known):
        """At once, where the real one is a job that the slow task may outrun."""
        for path in traces(spark)["block directories"]:
            shutil.rmtree(path)
        handles.let_go()
        open(cleaned, "w").close()

    monkeypatch.setattr(ingest_module, "_packer", packer)
    monkeypatch.setattr(ingest_module, "_release", release)
    df = spark.range(20, numPartitions=2).selectExpr("array(cos(id), 1.0D) as features", "1.0D as label")
    with nothing_left(spark):
        with pytest.raises(Exception, match="partition 0"):
            ingest(df, Packing(), 0)
        wait_for(lambda: running_tasks(spark) == 0, 15)


def test_an_error_is_passed_on_when_the_tasks_have_ended(spark):
    def work(index, rows):
        if index == 0:
            raise ValueError("partition 0")
        time.sleep(1.0)
        return rows

    rdd = spark.sparkContext.parallelize(range(2), 2).mapPartitionsWithIndex(work)
    with pytest.raises(Exception, match="partition 0"), no_task_outlives(spark.sparkContext):
        rdd.collect()
    assert running_tasks(spark) == 0
    assert list(spark.sparkContext.getJobTags()) == []


def test_errors_without_a_job_are_passed_on_at_once(spark):
    began = time.monotonic()
    with pytest.raises(KeyError), no_task_outlives(spark.sparkContext):
        raise KeyError
    assert time.monotonic() - began < 5.0
