"""The cluster engine: the driver engine's bits, one job a round, and the same bits after losses."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from sparkgd.data.balance import RowRange, row_ranges_of
from sparkgd.data.blockfile import map_block
from sparkgd.data.statistics import merge
from sparkgd.engine import cluster as cluster_module
from sparkgd.engine.base import Packing
from sparkgd.engine.classic import executors as classic_executors
from sparkgd.engine.classic.executors import ClassicExecutors
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.driver import DriverEngine
from sparkgd.engine.ingest import ResidentPacked, ingest
from sparkgd.engine.limits import DriverLimits
from sparkgd.exceptions import InvalidDataError, InvalidParamError
from sparkgd.kernels import AnswerSize
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import HingeLoss, LogisticLoss
from sparkgd.penalties import ElasticNet
from sparkgd.questions.condense import CondenseKernel
from sparkgd.questions.epochs import Frame
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.gram import GramKernel
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Status
from sparkgd.solvers.sampling import UniformRows
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training import cutting_planes
from sparkgd.training.outline import TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.leftovers import nothing_left
from tests.support.plans import fit

PARTITIONS, ROWS = 13, 200
LAYOUT = CoefLayout(3)
POINTS = np.random.default_rng(0).normal(size=(2, 4))
KERNELS = [
    GradientKernel(LogisticLoss(), LAYOUT, POINTS),
    GramKernel(np.zeros(3), np.ones(3)),
    GradientKernel(LogisticLoss(), LAYOUT, POINTS[:1], sample=UniformRows(1, 1, 50, ROWS)),
    CondenseKernel(HingeLoss(), LAYOUT, POINTS, Frame(np.zeros(3), np.ones(3), 1.0), 50, ROWS),
]


def row(i: int) -> tuple[list[float], float]:
    rng = np.random.default_rng(i)
    return [float(x) for x in rng.normal(size=3)], float(i % 2)


def source(spark, change=None, count=None):
    """The rows in 13 partitions; ``change(index, rows)`` runs on the executors, ``count`` counts the rows read."""

    def read(index, numbers):
        rows = [row(i) for i in numbers]
        if count is not None:
            count.add(len(rows))
        return rows if change is None else change(index, rows)

    rdd = spark.sparkContext.parallelize(range(ROWS), PARTITIONS).mapPartitionsWithIndex(read)
    return spark.createDataFrame(rdd, "features array<double>, label double")


@pytest.fixture(autouse=True)
def no_coalescing(monkeypatch):
    """Keep the 13 partitions, which are more than the session has slots."""
    monkeypatch.setattr(ClassicExecutors, "slots", None)


@contextmanager
def packed(spark, **options) -> Iterator[ResidentPacked]:
    with nothing_left(spark):
        data = ingest(source(spark, **options), Packing(), 1 << 40)
        try:
            yield data
        finally:
            data.release()


def assert_same_bits(left, right):
    for mine, other in zip(left, right, strict=True):
        for name in ("value", "gradient", "weight", "hessian", "rows", "groups"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name), err_msg=name)


@pytest.mark.smoke
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_tree_of_any_depth_gives_the_bits_of_the_driver(spark, depth):
    with packed(spark) as data:
        driver = DriverEngine(data.blocks(), depth).round(KERNELS)
        assert_same_bits(ClusterEngine(data, depth).round(KERNELS), driver)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_long_sums_are_added_by_ranges_of_columns_with_the_same_bits(spark, monkeypatch, depth):
    monkeypatch.setattr(cluster_module, "SCATTER_BYTES", 500)
    with packed(spark) as data:
        size = sum((kernel.answer_size for kernel in KERNELS), AnswerSize())
        answer = cluster_module.NUMBER_BYTES * (size.by_coef + size.whole + size.dealt)
        # Without a tree the driver would receive every sum; it has room for one.
        limits = DriverLimits(answer if depth == 1 else 0, 1 << 40)
        monkeypatch.setattr(ClassicExecutors, "limits", limits)
        engine = ClusterEngine(data, depth)
        assert engine._ranges(KERNELS) > 2
        assert_same_bits(engine.round(KERNELS), DriverEngine(data.blocks(), depth).round(KERNELS))


def test_sums_longer_than_the_driver_can_receive_are_refused(spark, monkeypatch):
    with packed(spark) as data:
        too_little = DriverLimits(100, 1 << 40)
        monkeypatch.setattr(ClassicExecutors, "limits", too_little)
        with pytest.raises(InvalidParamError, match="maxResultSize"):
            ClusterEngine(data, 1).round(KERNELS)


def test_condensed_rows_lead_to_the_same_bits_as_in_the_driver(spark, monkeypatch):
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", 8 * (3 + 3) * 60)
    settings = FitSettings(
        HingeLoss(), lambda s, k: ElasticNet(np.zeros(3), np.full(3, 0.01)), True, False, SolverSettings(),
        Stopping(100, 1e-6),
    )  # fmt: skip
    with packed(spark) as data:
        sample, statistics = RowSample(LocalRows(data.sample())), merge(list(data.statistics().values()))
        engines = ClusterEngine(data), DriverEngine(data.blocks())
        fits = [fit(settings, TrainingSet(engine, ROWS, statistics, sample)) for engine in engines]
    assert all("it starts from the optimum of condensed rows" in each.result.reason for each in fits)
    np.testing.assert_array_equal(fits[0].coef, fits[1].coef)
    assert fits[0].objectives == fits[1].objectives
    assert fits[0].ending.status is Status.CONVERGED


def test_large_kernels_are_broadcast_and_the_broadcast_removed(spark, monkeypatch):
    monkeypatch.setattr(classic_executors, "BROADCAST_BYTES", 10)
    with packed(spark) as data:
        assert_same_bits(ClusterEngine(data).round(KERNELS), DriverEngine(data.blocks()).round(KERNELS))


def test_partitions_without_rows_are_normal(spark):
    with packed(spark, change=lambda index, rows: rows if index % 3 == 1 else []) as data:
        assert sorted(data.partitions) == [1, 4, 7, 10]
        for depth in (1, 2):
            assert_same_bits(
                ClusterEngine(data, depth).round(KERNELS), DriverEngine(data.blocks(), depth).round(KERNELS)
            )


@pytest.mark.smoke
def test_ingest_reads_the_source_once_and_each_round_is_one_job(spark):
    context, reads = spark.sparkContext, spark.sparkContext.accumulator(0)
    with packed(spark, count=reads) as data:
        assert reads.value == ROWS
        engine = ClusterEngine(data, depth=1)
        for number in range(5):
            context.setJobGroup(f"round {number}", "")
            engine.round(KERNELS)
            assert len(context.statusTracker().getJobIdsForGroup(f"round {number}")) == 1
        context.setLocalProperty("spark.jobGroup.id", None)
        assert reads.value == ROWS
        data.release()
        data.release()
        assert reads.value == ROWS


def test_blocks_that_ingest_did_not_ship_are_fetched(spark):
    with packed(spark) as shipped, packed(spark) as data:
        left = ingest(source(spark), Packing(), 0)
        try:
            assert all(part.block is None for part in left.partitions.values())
            assert all(part.block is not None for part in data.partitions.values())
            assert [block.first_row for block in left.blocks()] == [block.first_row for block in shipped.blocks()]
            assert_same_bits(DriverEngine(left.blocks()).round(KERNELS), DriverEngine(data.blocks()).round(KERNELS))
        finally:
            left.release()


@pytest.mark.parametrize(("depth", "scatter_bytes"), [(1, 1 << 20), (2, 1 << 20), (2, 500)])
def test_a_lost_block_changes_no_bit(spark, monkeypatch, depth, scatter_bytes):
    monkeypatch.setattr(cluster_module, "SCATTER_BYTES", scatter_bytes)
    with packed(spark) as data:
        engine = ClusterEngine(data, depth)
        before = engine.round(KERNELS)
        for index in (0, 7):
            shutil.rmtree(data.partitions[index].handle.path)
        for _ in range(2):
            assert_same_bits(engine.round(KERNELS), before)


class Logged(LogisticLoss):
    """A loss that writes a line for every block it is asked about; these are small."""

    def __init__(self, path: str) -> None:
        self._path = path

    def value_and_derivative(self, label, raw_prediction):
        with open(self._path, "a") as log:
            log.write("a block\n")
        return super().value_and_derivative(label, raw_prediction)


def test_a_lost_block_has_no_other_scanned_again(spark, tmp_path):
    log = tmp_path / "log"
    with packed(spark) as data:
        engine = ClusterEngine(data, depth=1)
        shutil.rmtree(data.partitions[7].handle.path)
        engine.round([GradientKernel(Logged(str(log)), LAYOUT, POINTS)])
    assert len(log.read_text().splitlines()) == PARTITIONS


@pytest.mark.parametrize("depth", [1, 2])
def test_lost_handles_change_no_bit(spark, depth):
    with packed(spark) as data:
        engine = ClusterEngine(data, depth)
        before = engine.round(KERNELS)
        lose_handles(data)
        for _ in range(2):
            assert_same_bits(engine.round(KERNELS), before)


def lose_handles(data: ResidentPacked) -> None:
    """What losing every executor does: the handles are computed again."""
    data.handles.rows.unpersist(blocking=True)
    data.handles.rows.persist()


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("kind", ["other values", "no rows", "first rows", "rows moved"])
@pytest.mark.parametrize("lost", ["handles", "blocks"])
def test_a_source_that_changes_is_an_error(spark, tmp_path, depth, kind, lost):
    if lost == "blocks" and kind == "first rows":
        return  # a partition without rows has no block to lose
    marker = str(tmp_path / "changed")

    def change(index, rows):
        later = os.path.exists(marker)
        if index != 4:
            return rows
        if kind == "first rows":
            return rows if later else []
        if not later:
            return rows
        return {"no rows": [], "other values": [([9.0, x[1], x[2]], y) for x, y in rows], "rows moved": rows[1:]}[kind]

    with packed(spark, change=change) as data:
        engine = ClusterEngine(data, depth)
        engine.round(KERNELS)
        open(marker, "w").close()
        if lost == "handles":
            lose_handles(data)
        else:
            shutil.rmtree(data.partitions[4].handle.path)
        with pytest.raises(InvalidDataError, match=r"the input changed while it was read again.*cache or checkpoint"):
            engine.round(KERNELS)


@pytest.mark.parametrize(("depth", "scatter_bytes"), [(1, 1 << 20), (2, 1 << 20), (2, 500)])
@pytest.mark.parametrize("empty", [{4, 9}, {0, 1, 12}, set(range(1, 13))], ids=["between", "edges", "all but one"])
def test_several_partitions_that_gain_their_first_rows_are_an_error(
    spark, tmp_path, monkeypatch, depth, scatter_bytes, empty
):
    monkeypatch.setattr(cluster_module, "SCATTER_BYTES", scatter_bytes)
    marker = str(tmp_path / "changed")

    def change(index, rows):
        return rows if index not in empty or os.path.exists(marker) else []

    with packed(spark, change=change) as data:
        engine = ClusterEngine(data, depth)
        engine.round(KERNELS)
        open(marker, "w").close()
        lose_handles(data)
        with pytest.raises(InvalidDataError, match="the input changed while it was read again"):
            engine.round(KERNELS)


def test_a_failing_source_leaves_nothing_behind(spark):
    def fails(index, rows):
        yield from rows[:5]
        if index == 11:
            raise ValueError("row 5 of partition 11")

    with nothing_left(spark), pytest.raises(Exception, match="row 5 of partition 11"):
        ingest(source(spark, change=fails), Packing(), 0)


def test_a_failing_kernel_leaves_nothing_behind(spark):
    with packed(spark) as data, pytest.raises(Exception, match=r"matmul|mismatch|dimension|shape"):
        ClusterEngine(data).round([GradientKernel(LogisticLoss(), CoefLayout(8), np.zeros((1, 9)))])


def test_partitions_that_touch_few_of_many_columns(spark, monkeypatch):
    """Partial sums name their columns; with and without a tree their total is the driver engine's, bit by bit."""
    width = 20_000

    def wide_row(i: int) -> tuple[list[float], list[int], float]:
        columns = np.sort(np.random.default_rng(i).choice(width, 3, replace=False))
        return [1.0, -2.0, 0.5], [*columns.tolist(), width], float(i % 2)

    rdd = spark.sparkContext.parallelize(range(ROWS), PARTITIONS).map(wide_row)
    df = spark.createDataFrame(rdd, "features array<double>, indices array<int>, label double")
    layout = CoefLayout(width)
    kernel = GradientKernel(LogisticLoss(), layout, np.random.default_rng(1).normal(size=(2, layout.size)))
    data = ingest(df, Packing(), 1 << 30)
    try:
        assert all(part.handle.touched for part in data.partitions.values())
        assert all(len(group.mean) == width for group in data.statistics().values())
        for scatter_bytes in (1 << 20, 1000):
            monkeypatch.setattr(cluster_module, "SCATTER_BYTES", scatter_bytes)
            for depth in (1, 2):
                driver = DriverEngine(data.blocks(), depth).round([kernel])
                assert_same_bits(ClusterEngine(data, depth).round([kernel]), driver)
                assert driver[0].gradient.shape == (2, layout.size)
    finally:
        data.release()


SKEWED = {0: 2, 3: 1, 5: 150, 9: 20}
"""Rows of the partitions that are not empty."""


def skewed(index, rows):
    return [row(1000 * index + i) for i in range(SKEWED.get(index, 0))]


def shared(data: ResidentPacked) -> list[RowRange]:
    ranges = row_ranges_of(data.handles_by_partition(), 4, 1.5)
    assert [part.partition for part in ranges] == [0, 3, 5, 5, 5, 5, 9]
    return ranges


def on_the_driver(data: ResidentPacked, depth: int) -> list:
    """What the driver engine sums over the same slices."""
    first, blocks = 0, []
    for part in shared(data):
        blocks.append(map_block(data.partitions[part.partition].handle.slice(part.start, part.stop), first))
        first += blocks[-1].rows
    return DriverEngine(blocks, depth).round(KERNELS)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_shared_partitions_give_the_bits_of_the_driver(spark, depth):
    with packed(spark, change=skewed) as data:
        engine = ClusterEngine(data, depth, ranges=shared(data))
        for _ in range(2):
            assert_same_bits(engine.round(KERNELS), on_the_driver(data, depth))


def test_shared_partitions_sum_to_those_of_whole_ones(spark):
    with packed(spark, change=skewed) as data:
        parts, whole = ClusterEngine(data, ranges=shared(data)).round(KERNELS), ClusterEngine(data).round(KERNELS)
        np.testing.assert_allclose(parts[1].hessian, whole[1].hessian, rtol=1e-12)
        for mine, other in ((parts[0], whole[0]), (parts[2], whole[2])):
            np.testing.assert_allclose(mine.gradient, other.gradient, rtol=1e-12)
            assert mine.weight == pytest.approx(other.weight, rel=1e-14)


def test_a_round_over_shared_partitions_is_one_job_of_one_task_each(spark):
    context, tracker = spark.sparkContext, spark.sparkContext.statusTracker()
    with packed(spark, change=skewed) as data:
        engine = ClusterEngine(data, depth=1, ranges=shared(data))
        engine.round(KERNELS)
        context.setJobGroup("shared", "")
        engine.round(KERNELS)
        context.setLocalProperty("spark.jobGroup.id", None)
        (job,) = tracker.getJobIdsForGroup("shared")
        stages = [tracker.getStageInfo(stage) for stage in tracker.getJobInfo(job).stageIds]
        assert [stage.numCompletedTasks for stage in stages if stage and stage.numCompletedTasks] == [7]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("lost", ["handles", "blocks", "both"])
def test_lost_shared_partitions_change_no_bit(spark, depth, lost):
    with packed(spark, change=skewed) as data:
        engine = ClusterEngine(data, depth, ranges=shared(data))
        before = engine.round(KERNELS)
        if lost != "blocks":
            lose_handles(data)
        if lost != "handles":
            for index in (0, 5):
                shutil.rmtree(data.partitions[index].handle.path)
        for _ in range(2):
            assert_same_bits(engine.round(KERNELS), before)


@pytest.mark.parametrize("kind", ["other values", "no rows", "rows moved", "another order"])
def test_a_shared_partition_that_changes_is_an_error(spark, tmp_path, kind):
    marker = str(tmp_path / "changed")

    def change(index, rows):
        rows = skewed(index, rows)
        if index != 5 or not os.path.exists(marker):
            return rows
        return {
            "no rows": [],
            "other values": [([9.0, x[1], x[2]], y) for x, y in rows],
            "rows moved": rows[1:],
            "another order": [rows[-1], *rows[1:-1], rows[0]],
        }[kind]

    with packed(spark, change=change) as data:
        engine = ClusterEngine(data, ranges=shared(data))
        engine.round(KERNELS)
        open(marker, "w").close()
        shutil.rmtree(data.partitions[5].handle.path)
        with pytest.raises(InvalidDataError, match="the input changed while it was read again"):
            engine.round(KERNELS)
