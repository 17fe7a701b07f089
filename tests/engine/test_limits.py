"""Rounds that Spark would refuse are refused beforehand."""

from __future__ import annotations

import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.engine.classic.executors import ClassicExecutors
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.limits import DriverLimits, check_driver_heap, check_result_size, parse_bytes
from sparkgd.exceptions import InvalidParamError
from tests.support.leftovers import nothing_left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1g", 1 << 30),
        ("512m", 512 << 20),
        ("100kb", 100 << 10),
        ("0", 0),
        ("2GB", 2 << 30),
        ("77", 77),
        ("1 t", 1 << 40),
    ],
)
def test_spark_sizes(text, expected):
    assert parse_bytes(text) == expected


def test_no_size():
    with pytest.raises(ValueError, match="many"):
        parse_bytes("many")


@pytest.mark.parametrize(
    ("limits", "received", "allowed"),
    [
        (DriverLimits(1 << 30, 1 << 40), 1 << 30, True),
        (DriverLimits(1 << 30, 1 << 40), (1 << 30) + 1, False),
        (DriverLimits(0, 1 << 40), 1 << 37, True),
        (DriverLimits(0, 6 << 20), 1 << 20, True),
        (DriverLimits(0, 6 << 20), (1 << 20) + 1, False),
    ],
    ids=str,
)
def test_what_is_allowed_is_what_is_not_refused(limits, received, allowed):
    assert limits.allow(received) == allowed
    if allowed:
        limits.check(received)
    else:
        with pytest.raises(InvalidParamError):
            limits.check(received)


def test_a_round_that_does_not_fit_names_the_setting_to_change():
    with pytest.raises(InvalidParamError, match=r"1600 MB .*maxResultSize=2000m "):
        check_result_size(1 << 30, 1600 << 20)


def test_the_limits_of_a_session(spark):
    found = ClassicExecutors(spark).limits
    assert found.max_result_size == 1 << 30, "Spark's default"
    assert found.heap >= 1 << 28
    assert found.collectable == found.heap // 6 < 1 << 30


def test_results_that_the_heap_cannot_hold_name_the_driver_memory():
    check_driver_heap(1 << 30, 160 << 20, "a round")
    with pytest.raises(InvalidParamError, match=r"a round would send 320 MB .*1024 MB.*--driver-memory 2g"):
        check_driver_heap(1 << 30, 320 << 20, "a round")


def test_fits_that_the_driver_could_not_receive_are_refused(spark, monkeypatch):
    """Statistics are kept back at ingest; gradients are refused before the first round."""
    frame = spark.createDataFrame(
        [([float(i), 1.0, -i / 2], float(i % 2)) for i in range(20)], "features array<double>, label double"
    )
    estimator = LogisticRegression(execution="cluster", regParam=0.1)
    with nothing_left(spark):
        monkeypatch.setattr(ClassicExecutors, "limits", DriverLimits(0, 300))
        with pytest.raises(InvalidParamError, match=r"ingest would send .*spark\.driver\.memory"):
            estimator.fit(frame)
        monkeypatch.setattr(ClassicExecutors, "limits", DriverLimits(40, 300))
        with pytest.raises(InvalidParamError, match=r"statistics of columns .*maxResultSize"):
            estimator.fit(frame)
        monkeypatch.undo()
        begin = ClusterEngine.__init__

        def in_little_room(engine, *args):
            begin(engine, *args)
            engine._limits = DriverLimits(0, 300)

        monkeypatch.setattr(ClusterEngine, "__init__", in_little_room)
        with pytest.raises(InvalidParamError, match=r"a round would send .*spark\.driver\.memory"):
            estimator.fit(frame)
