"""What is known of the data after ingest: one mergeable record, computed in the same job that packs the blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.features import spread
from sparkgd.losses.base import LabelSummary

Array = npt.NDArray[np.float64]

MAX_CLASSES = 10_000
"""Labels above this are not counted as classes."""


@dataclass(frozen=True)
class Statistics:
    """Weighted statistics of rows; ``+`` merges two disjoint sets (Chan, Golub and LeVeque, 1983).

    Attributes
    ----------
    rows : int
        Rows of positive weight.
    weight, weight_squares : float
        Sum of the sample weights and of their squares.
    mean, squares : ndarray (p,)
        Weighted mean of each column and weighted sum of squares about it.
    support : ndarray (p,)
        Weight of the rows whose value is not zero.
    label_mean, label_squares : float
        The same for the label.
    net_label_mean, net_label_squares : float
        The same for the label less the offset, which is what least squares fit; the label's own without offsets.
    offset_low, offset_high : float
        Smallest and largest offset; 0 without offsets.
    label_low, label_high : float
    label_integer : bool
    class_weights : dict of int to float
        Weight of each label value while labels are integers from 0 to `MAX_CLASSES`.
    problems : dict of (str, str) to int
        Rows that cannot be trained on, by column role and what is wrong.
    bad_columns : frozenset of int
        Feature columns with a value that is not finite.
    """

    rows: int
    weight: float
    weight_squares: float
    mean: Array
    squares: Array
    support: Array
    label_mean: float = 0.0
    label_squares: float = 0.0
    net_label_mean: float = 0.0
    net_label_squares: float = 0.0
    offset_low: float = np.inf
    offset_high: float = -np.inf
    label_low: float = np.inf
    label_high: float = -np.inf
    label_integer: bool = True
    class_weights: dict[int, float] = field(default_factory=dict)
    problems: dict[tuple[str, str], int] = field(default_factory=dict)
    bad_columns: frozenset[int] = frozenset()

    def __add__(self, other: Statistics) -> Statistics:
        weight = self.weight + other.weight
        share = other.weight / weight if weight > 0.0 else 0.0
        between = self.weight * share
        with np.errstate(invalid="ignore"):  # infinite values are counted as problems, not warned about
            step, label_step = other.mean - self.mean, other.label_mean - self.label_mean
            net_step = other.net_label_mean - self.net_label_mean
        return Statistics(
            rows=self.rows + other.rows,
            weight=weight,
            weight_squares=self.weight_squares + other.weight_squares,
            mean=self.mean + share * step,
            squares=self.squares + other.squares + between * step * step,
            support=self.support + other.support,
            label_mean=self.label_mean + share * label_step,
            label_squares=self.label_squares + other.label_squares + between * label_step * label_step,
            net_label_mean=self.net_label_mean + share * net_step,
            net_label_squares=self.net_label_squares + other.net_label_squares + between * net_step * net_step,
            offset_low=min(self.offset_low, other.offset_low),
            offset_high=max(self.offset_high, other.offset_high),
            label_low=min(self.label_low, other.label_low),
            label_high=max(self.label_high, other.label_high),
            label_integer=self.label_integer and other.label_integer,
            class_weights=_merged(self.class_weights, other.class_weights),
            problems=_merged(self.problems, other.problems),
            bad_columns=self.bad_columns | other.bad_columns,
        )

    def reweighted(self, factor: float) -> Statistics:
        """The statistics if every weight were multiplied by ``factor``."""
        if factor == 0.0:
            zeros = np.zeros_like(self.mean)
            return Statistics(0, 0.0, 0.0, zeros, zeros, zeros, problems=self.problems, bad_columns=self.bad_columns)
        return replace(
            self,
            weight=self.weight * factor,
            weight_squares=self.weight_squares * factor * factor,
            squares=self.squares * factor,
            support=self.support * factor,
            label_squares=self.label_squares * factor,
            net_label_squares=self.net_label_squares * factor,
            class_weights={label: weight * factor for label, weight in self.class_weights.items()},
        )

    @property
    def num_bytes(self) -> int:
        """Size of what is known of each column."""
        return self.mean.nbytes + self.squares.nbytes + self.support.nbytes

    def spread(self, columns: npt.NDArray[np.int32], width: int) -> Statistics:
        """The statistics of ``width`` columns of which these are some, and all others zero."""
        return replace(
            self,
            mean=spread(self.mean, columns, width),
            squares=spread(self.squares, columns, width),
            support=spread(self.support, columns, width),
            bad_columns=frozenset(int(columns[j]) for j in self.bad_columns),
        )

    def deviation(self, ddof: int = 1) -> Array:
        """Standard deviation of each column: ``ddof=1`` MLlib's weighted unbiased one, 0 the population's."""
        return np.sqrt(np.maximum(self.squares, 0.0) / self._divisor(ddof))

    def label_deviation(self, ddof: int = 1) -> float:
        """Standard deviation of the label."""
        return float(np.sqrt(max(self.label_squares, 0.0) / self._divisor(ddof)))

    def net_label_deviation(self, ddof: int = 1) -> float:
        """Standard deviation of the label less the offset."""
        return float(np.sqrt(max(self.net_label_squares, 0.0) / self._divisor(ddof)))

    def _divisor(self, ddof: int) -> float:
        """``W - sum w^2 / W`` (unbiased) or ``W``; infinite where a single row leaves nothing to divide by."""
        divisor = self.weight - (self.weight_squares / (self.weight or 1.0) if ddof else 0.0)
        return divisor if divisor > 0.0 else np.inf

    @property
    def label(self) -> LabelSummary:
        """What losses may know of the label."""
        return LabelSummary(
            weight_sum=self.weight,
            mean=self.label_mean,
            variance=self.label_squares / self.weight,
            low=self.label_low,
            high=self.label_high,
            integer=self.label_integer,
            class_weights=self.class_weights,
        )


def _merged(left: dict, right: dict) -> dict:  # type: ignore[type-arg]
    return {key: left.get(key, 0) + right.get(key, 0) for key in [*left, *(k for k in right if k not in left)]}


def merge(parts: Sequence[Statistics]) -> Statistics:
    """Left fold of `+`."""
    return reduce(lambda a, b: a + b, parts)


@dataclass(frozen=True, order=True)
class Group:
    """Rows whose statistics are kept apart: those of one fold and, where asked for, of one label."""

    fold: int = 0
    label: int = 0


def statistics_of(block: Block, by_label: bool = False) -> dict[Group, Statistics]:
    """Statistics of a block's rows by group, with everything wrong with them counted.

    Labels that are no class (negative, fractional, NaN) fall into group 0; the check of the labels reports them.
    """
    found: dict[Group, Statistics] = {}
    for chunk in block.chunks():
        with np.errstate(invalid="ignore", over="ignore"):  # counted as problems, not warned about
            add_statistics(found, {group: _of_chunk(part) for group, part in _groups(chunk, by_label)})
    return found


def add_statistics(total: dict[Group, Statistics], more: dict[Group, Statistics]) -> None:
    """Add those of other rows, group by group."""
    for group, statistics in more.items():
        total[group] = total[group] + statistics if group in total else statistics


def _groups(chunk: Block, by_label: bool) -> Iterator[tuple[Group, Block]]:
    if chunk.fold is None and not by_label:
        yield Group(), chunk
        return
    fold = np.zeros(chunk.rows, dtype=np.intp) if chunk.fold is None else chunk.fold.astype(np.intp)
    label = _classes(chunk.label) if by_label else np.zeros(chunk.rows, dtype=np.intp)
    for key in np.unique(fold * (MAX_CLASSES + 1) + label):
        group = Group(int(key) // (MAX_CLASSES + 1), int(key) % (MAX_CLASSES + 1))
        yield group, chunk.take(np.flatnonzero((fold == group.fold) & (label == group.label)))


def _classes(label: Array) -> npt.NDArray[np.intp]:
    is_class = (label >= 0) & (label <= MAX_CLASSES) & (label == np.floor(label))
    return np.where(is_class, label, 0.0).astype(np.intp)


def _of_chunk(chunk: Block) -> Statistics:
    problems = _problems(chunk)
    # Problems stop the fit; their weights are neutralised only to keep the arithmetic below finite.
    weight = np.where(np.isfinite(chunk.weight) & (chunk.weight >= 0.0), chunk.weight, 0.0)
    total_weight = float(weight.sum())
    label = chunk.label
    used = weight > 0.0
    sums, squares = chunk.features.column_sums(weight)
    bad_columns: frozenset[int] = frozenset()
    if not (np.isfinite(sums).all() and np.isfinite(squares).all()):
        bad_rows, columns = chunk.features.not_finite()  # empty where the sums overflowed
        bad_columns = frozenset(int(j) for j in columns)
        if len(bad_rows):
            problems[("features", "NaN or infinite")] = len(bad_rows)
    divisor = total_weight or 1.0
    label_mean, label_squares = _mean_and_squares(label, weight, divisor)
    net, offset_range = (label_mean, label_squares), (0.0, 0.0)
    if chunk.offset is not None:
        net = _mean_and_squares(label - chunk.offset, weight, divisor)
        offset_range = _range(chunk.offset[used])
    label_low, label_high = _range(label[used])
    integer = bool(np.all(label[used] == np.floor(label[used])))
    return Statistics(
        rows=int(np.count_nonzero(used)),
        weight=total_weight,
        weight_squares=float(weight @ weight),
        mean=sums / divisor,
        squares=squares,
        support=chunk.features.column_support(weight),
        label_mean=label_mean,
        label_squares=label_squares,
        net_label_mean=net[0],
        net_label_squares=net[1],
        offset_low=offset_range[0],
        offset_high=offset_range[1],
        label_low=label_low,
        label_high=label_high,
        label_integer=integer,
        class_weights=_class_weights(label[used], weight[used]) if integer else {},
        problems=problems,
        bad_columns=bad_columns,
    )


def _mean_and_squares(values: Array, weight: Array, divisor: float) -> tuple[float, float]:
    """Weighted mean, and weighted sum of squares about it."""
    mean = float(weight @ values) / divisor
    return mean, float(weight @ np.square(values - mean))


def _range(values: Array) -> tuple[float, float]:
    """Least and largest value; ``inf`` and ``-inf`` of none."""
    return float(np.min(values, initial=np.inf)), float(np.max(values, initial=-np.inf))


def _problems(chunk: Block) -> dict[tuple[str, str], int]:
    counts = {
        ("label", "NaN or infinite"): np.count_nonzero(~np.isfinite(chunk.label)),
        ("weight", "NaN or infinite"): np.count_nonzero(~np.isfinite(chunk.weight)),
        ("weight", "negative"): np.count_nonzero(chunk.weight < 0.0),
    }
    if chunk.offset is not None:
        counts[("offset", "NaN or infinite")] = np.count_nonzero(~np.isfinite(chunk.offset))
    return {key: int(count) for key, count in counts.items() if count}


def _class_weights(label: Array, weight: Array) -> dict[int, float]:
    if not len(label) or label.min() < 0 or label.max() > MAX_CLASSES:
        return {}
    sums = np.bincount(label.astype(np.int64), weights=weight)
    return {int(k): float(sums[k]) for k in np.flatnonzero(sums)}
