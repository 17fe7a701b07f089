"""A disk that fills up while rows are packed ends the fit with an error of ours, and nothing stays behind."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.engine import ingest as ingest_module
from sparkgd.engine.base import Packing
from sparkgd.engine.handles import read_handles
from sparkgd.engine.ingest import ingest, ingest_small
from sparkgd.exceptions import DiskFullError
from tests.support.full_disk import full_disk, on_full_disks
from tests.support.leftovers import nothing_left


def source(spark, count=None):
    def read(index, numbers):
        if count is not None:
            count.add(1)
        return [([float(i), float(i % 3)], float(i % 2)) for i in numbers]

    rdd = spark.sparkContext.parallelize(range(40), 2).mapPartitionsWithIndex(read)
    return spark.createDataFrame(rdd, "features array<double>, label double")


@pytest.mark.parametrize(("partitions", "failed"), [({1}, "1 of 2"), ({0, 1}, "2 of 2")])
def test_a_fit_says_which_disk_is_full_and_tries_no_second_time(spark, monkeypatch, partitions, failed):
    monkeypatch.setattr(ingest_module, "_packer", on_full_disks(ingest_module._packer, partitions))
    reads = spark.sparkContext.accumulator(0)
    with nothing_left(spark), pytest.raises(DiskFullError) as caught:
        LogisticRegression(execution="cluster").fit(source(spark, reads))
    for part in ("full on host", "No space left on device", "spark.local.dir", failed):
        assert part in str(caught.value)
    assert reads.value == 2


def test_rows_that_the_driver_packs_find_a_full_disk_too(spark):
    with nothing_left(spark), full_disk(), pytest.raises(DiskFullError, match="TMPDIR"):
        ingest_small(source(spark), Packing())


def test_a_round_over_a_partition_that_found_no_room_says_so():
    with pytest.raises(DiskFullError, match="no room"):
        list(read_handles([(0, (None, 0.0, "there was no room"))]))


def test_the_next_fit_is_as_if_nothing_had_been(spark, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(ingest_module, "_packer", on_full_disks(ingest_module._packer, {0}))
        with pytest.raises(DiskFullError):
            ingest(source(spark), Packing(), 0)
    with nothing_left(spark):
        packed = ingest(source(spark), Packing(), 0)
        packed.release()
    assert packed.rows == 40
    assert all(np.isfinite(part.handle.num_bytes) for part in packed.partitions.values())
