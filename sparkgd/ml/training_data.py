"""A dataset being trained on: from DataFrame to an open engine, and everything cleaned up at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame

from sparkgd.data.balance import SKEW_LIMIT, RowRange, row_ranges_of
from sparkgd.data.statistics import MAX_CLASSES, Group, Statistics, merge
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.description import job_description
from sparkgd.engine.driver import DriverEngine
from sparkgd.engine.ingest import ResidentPacked, ingest, ingest_small
from sparkgd.engine.known_size import is_small
from sparkgd.engine.limits import collectable_bytes
from sparkgd.engine.packed import Packed
from sparkgd.exceptions import InvalidDataError
from sparkgd.losses.base import LabelSummary
from sparkgd.ml.columns import InputColumns, declared_classes, select_input
from sparkgd.ml.data_checks import check_problems, check_rows, check_weights
from sparkgd.ml.params.class_weights import Array, ClassWeights
from sparkgd.training.few_rows import FewRows
from sparkgd.training.pilot import Pilot
from sparkgd.training.rounds import Engine

DRIVER_BYTES = 64 << 20
"""Packed data up to this size run in the driver process when ``execution="auto"``."""

PILOT_BYTES = 32 << 20
"""Of more data than this, wherever rounds run, a sample is worth training on first."""

SMALL_BYTES = 16 << 20
"""Data that Spark knows to be at most so large are packed in the driver process itself."""

_SHIPPED = {"auto": DRIVER_BYTES, "driver": 1 << 40, "cluster": -1}
"""Size up to which ingest returns a block with its statistics, by execution."""


@dataclass(frozen=True)
class PartitionStat:
    """What one task of a round scans: a partition, or a range of rows of a large one (see the param ``balance``).

    Attributes
    ----------
    partition : int
        Number of the partition in which the rows were packed.
    rows, stored, bytes : int
        Rows, stored feature values, and the size of both.
    seconds : float
        Time that packing took; of a range its share by rows.
    host : str
        Machine that has the rows.
    """

    partition: int
    rows: int
    stored: int
    bytes: int
    seconds: float
    host: str


@dataclass(frozen=True)
class TrainingData:
    """What a fit knows of its data.

    Attributes
    ----------
    engine : Engine
    execution : str
        ``cluster`` or ``driver``.
    pilot : Pilot or None
        A sample of the rows, where there are many more.
    statistics : Statistics
        Of the training rows.
    label : LabelSummary
        Of all rows, those of validation included.
    rows : int
        Rows that a round scans, those of zero weight and of validation included.
    held_out : int
        The validation rows' fold, -1 without validation.
    declared_classes : int
        Number of classes that the label column's metadata name, 0 where they name none.
    partitions : list of PartitionStat
    seconds : float
        Time of ingest.
    """

    engine: Engine
    execution: str
    pilot: Pilot | None
    statistics: Statistics
    label: LabelSummary
    rows: int
    held_out: int
    declared_classes: int
    partitions: list[PartitionStat]
    seconds: float

    def num_classes(self, label: str) -> int:
        """Number of classes, at least 2: those that the label's metadata name, or the highest label plus one.

        Raises
        ------
        InvalidDataError
            If a label is far too high to be a class.
        """
        highest = self.label.high
        if not highest <= MAX_CLASSES:
            raise InvalidDataError(
                f"column {label!r} holds the label {highest:g}; classes are integers from 0 to {MAX_CLASSES}. Index "
                "the labels with StringIndexer"
            )
        return max(self.declared_classes, int(highest) + 1, 2)


@contextmanager
def training_data(
    df: DataFrame,
    columns: InputColumns,
    execution: str,
    dtype: str,
    depth: int,
    balance: str,
    access: str,
    name: str,
    class_weights: ClassWeights | None = None,
    moments_suffice: bool = False,
) -> Iterator[TrainingData]:
    """Pack a DataFrame, check it and open its engine; on exit, also by an error, nothing is left behind.

    Where ``moments_suffice`` for the loss, ``execution="auto"`` keeps no more of the rows, if there are few columns.
    """
    selected = select_input(df, columns)
    began = time.perf_counter()
    with job_description(df.sparkSession.sparkContext, f"{name}: ingest"):
        packed = _pack(selected, execution, dtype, access, class_weights is not None, moments_suffice)
    try:
        check_rows(packed.partitions.values(), columns)
        groups = packed.statistics()
        for statistics in groups.values():
            check_problems(statistics, columns)
        held_out = 1 if columns.validation is not None else -1
        training = {group: part for group, part in groups.items() if group.fold != held_out}
        if not training:
            raise InvalidDataError(f"every row of column {columns.validation!r} is true; no row is left to train on")
        highest = max(group.label for group in groups)
        weights = None if class_weights is None else class_weights.of(training, highest)
        statistics = merge([_reweighted(part, group, weights) for group, part in training.items()])
        check_weights(statistics, columns)
        on_cluster = execution == "cluster" or (execution == "auto" and packed.num_bytes > DRIVER_BYTES)
        ranges = row_ranges_of(packed.handles_by_partition(), packed.tasks if on_cluster else 1, SKEW_LIMIT[balance])
        engine, where = _open_engine(packed, on_cluster, depth, weights, ranges)
        yield TrainingData(
            engine,
            where,
            pilot_of(packed, weights),
            statistics,
            merge(list(groups.values())).label,
            packed.rows,
            held_out,
            declared_classes(df, columns.label),
            _partition_stats(packed, ranges),
            time.perf_counter() - began,
        )
    finally:
        packed.release()


def _pack(
    selected: DataFrame, execution: str, dtype: str, access: str, by_label: bool, moments_suffice: bool
) -> Packed:
    if execution != "cluster" and is_small(selected, SMALL_BYTES):
        return ingest_small(selected, dtype, by_label)
    most = collectable_bytes(selected.sparkSession.sparkContext)
    condense = moments_suffice and execution == "auto"
    return ingest(selected, dtype, _SHIPPED[execution], by_label, access, most, condense)


def _reweighted(part: Statistics, group: Group, weights: Array | None) -> Statistics:
    return part if weights is None else part.reweighted(float(weights[group.label]))


def _open_engine(
    packed: Packed, on_cluster: bool, depth: int, weights: Array | None, ranges: list[RowRange]
) -> tuple[Engine, str]:
    if on_cluster and isinstance(packed, ResidentPacked):
        return ClusterEngine(packed, depth, weights, ranges), "cluster"
    engine = DriverEngine(packed.blocks(), depth, weights)
    packed.release()
    return engine, "driver"


def pilot_of(packed: Packed, weights: Array | None = None) -> Pilot | None:
    """A sample of the rows, if there are many more; ``weights`` is the factor of each label's."""
    sample = packed.sample() if packed.num_bytes > PILOT_BYTES else []
    if not sample:
        return None
    weighted = sample if weights is None else [block.reweighted(weights) for block in sample]
    return Pilot(FewRows(weighted))


def _partition_stats(packed: Packed, ranges: list[RowRange]) -> list[PartitionStat]:
    stats = []
    for share in ranges:
        part = packed.partitions[share.partition]
        handle = part.handle.slice(share.start, share.stop)
        seconds = part.seconds * handle.rows / max(part.handle.rows, 1)
        stats.append(
            PartitionStat(
                share.partition, handle.source_rows, handle.source_stored, handle.num_bytes, seconds, handle.host
            )
        )
    return stats
