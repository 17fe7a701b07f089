"""A dataset being trained on: from DataFrame to packed rows, and everything cleaned up at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from sparkgd.data.statistics import MAX_CLASSES, Group, Statistics, merge
from sparkgd.engine.base import Engine, Packing, PartitionStat
from sparkgd.engine.choice import packed_rows
from sparkgd.exceptions import InvalidDataError
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses.base import LabelSummary
from sparkgd.ml.checkpoints import Keeping
from sparkgd.ml.columns import InputColumns, declared_classes, select_input
from sparkgd.ml.data_checks import check_classes, check_problems, check_rows, check_sizes, check_weights
from sparkgd.ml.params.class_weights import Array, ClassWeights
from sparkgd.reductions.sample import RowSample
from sparkgd.training.outline import TrainingSet


@dataclass(frozen=True)
class TrainingData:
    """What a fit knows of its data.

    Attributes
    ----------
    rows : TrainingSet
        The rows, and the statistics of those to train on.
    engine : Engine
        That has the rows.
    label : LabelSummary
        Of all rows, those of validation included.
    held_out : int
        The validation rows' fold, -1 without validation.
    declared_classes : int
        Number of classes that the label column's metadata name, 0 where they name none.
    partitions : list of PartitionStat
    seconds : float
        Time of ingest.
    columns : InputColumns
    groups : mapping of Group to Statistics
        Of all rows, class weights multiplied in.
    blocks : tuple of str
        What tells the rows of each partition from others.
    keeping : Keeping or None
        Where and how the training is to be kept.
    class_factors : ndarray (K,) or None
        What class weights multiply the weight of a row by, by its label.
    """

    rows: TrainingSet
    engine: Engine
    label: LabelSummary
    held_out: int
    declared_classes: int
    partitions: list[PartitionStat]
    seconds: float
    columns: InputColumns
    groups: Mapping[Group, Statistics]
    blocks: tuple[str, ...] = ()
    keeping: Keeping | None = None
    class_factors: Array | None = None

    @property
    def folds(self) -> list[int]:
        """The folds that rows belong to."""
        return sorted({group.fold for group in self.groups})

    def without(self, fold: int) -> TrainingData:
        """The same for models that leave out a fold.

        Raises
        ------
        InvalidDataError
            If no row of the others has weight.
        """
        training = [part for group, part in self.groups.items() if group.fold != fold]
        if not training:
            raise InvalidDataError(f"fold {fold} has all rows; no row is left to train on")
        statistics = merge(training)
        check_weights(statistics, self.columns)
        return replace(self, rows=replace(self.rows, statistics=statistics), held_out=fold)

    def after(self, before: Statistics) -> TrainingData:
        """The same for models that have learned from other rows, of which these are the statistics."""
        statistics = before + self.rows.statistics
        label = merge([before, *self.groups.values()]).label
        return replace(self, rows=replace(self.rows, statistics=statistics), label=label)

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
    df: DataFrame, columns: InputColumns, packing: Packing, name: str, class_weights: ClassWeights | None = None
) -> Iterator[TrainingData]:
    """Pack a DataFrame and check it; on exit, also by an error, nothing is left behind."""
    selected = select_input(df, columns)
    began = time.perf_counter()
    engine = packed_rows(selected, packing, f"{name}: ingest")
    try:
        check_rows(engine.packed.partitions.values(), columns)
        groups = engine.statistics()
        for statistics in groups.values():
            check_problems(statistics, columns)
        everything = merge(list(groups.values()))
        if class_weights is not None:
            check_classes(everything, columns)
        held_out = 1 if columns.validation is not None else -1
        training = {group: part for group, part in groups.items() if group.fold != held_out}
        if not training:
            raise InvalidDataError(f"every row of column {columns.validation!r} is true; no row is left to train on")
        factors = None if class_weights is None else class_weights.of(training, max(group.label for group in groups))
        groups = _weighted(engine, groups, factors)
        statistics = merge([part for group, part in groups.items() if group in training])
        check_weights(statistics, columns)
        check_sizes(statistics, columns)
        sample = engine.sample()
        yield TrainingData(
            rows=TrainingSet(engine, engine.count, statistics, RowSample(LocalRows(sample)) if sample else None),
            engine=engine,
            label=everything.label,
            held_out=held_out,
            declared_classes=declared_classes(df, columns.label),
            partitions=engine.partition_stats(),
            seconds=time.perf_counter() - began,
            columns=columns,
            groups=groups,
            blocks=engine.packed.fingerprints(),
            class_factors=factors,
        )
    finally:
        engine.release()


def _weighted(engine: Engine, groups: dict[Group, Statistics], factors: Array | None) -> dict[Group, Statistics]:
    """The statistics of all rows by group, class weights multiplied in, here and in the engine."""
    if factors is None:
        return groups
    engine.weigh_classes(factors)
    return {group: part.reweighted(float(factors[group.label])) for group, part in groups.items()}
