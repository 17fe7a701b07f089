"""The mergeable result of scanning rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.features import WORTH_NAMING, spread

Array = npt.NDArray[np.float64]

BY_COEF = ("gradient", "product", "dual_slope", "move", "information", "rows")
"""Fields whose last axis has an entry for each coef; that of ``rows``, which comes alone, one for each row."""


@dataclass(frozen=True, eq=False)
class Entries:
    """Some entries of a coef of ``size``, by ascending ``numbers``."""

    numbers: npt.NDArray[np.integer]
    size: int

    def of(self, coef: Array) -> Array:
        """These entries of a coef, along its last axis."""
        return np.asarray(coef[..., self.numbers])

    def spread(self, values: Array) -> Array:
        """A coef with these entries, all others being zero."""
        return spread(values, self.numbers, self.size)

    def with_others(self, others: Entries) -> Entries | None:
        """The union; None, which stands for all entries, where it is not much shorter than a coef."""
        is_member = np.zeros(self.size, dtype=bool)
        is_member[self.numbers] = True
        is_member[others.numbers] = True
        if np.count_nonzero(is_member) > self.size * WORTH_NAMING:
            return None
        return Entries(np.flatnonzero(is_member).astype(self.numbers.dtype), self.size)

    def places(self, start: int, stop: int) -> slice:
        """Where those numbered ``start`` to ``stop`` are among these."""
        return slice(*np.searchsorted(self.numbers, [start, stop]))

    def between(self, start: int, stop: int) -> Entries:
        """Those numbered ``start`` to ``stop``, as entries of that range."""
        return Entries(self.numbers[self.places(start, stop)] - start, stop - start)


@dataclass(frozen=True)
class AnswerSize:
    """How many numbers a task returns of its rows, at most.

    Attributes
    ----------
    by_coef : int
        Those that a block of few columns returns of these alone (see `Entries`).
    whole : int
        Those that any block returns.
    dealt : int
        Those that all tasks return together, each of its own rows.
    """

    by_coef: int = 0
    whole: int = 0
    dealt: int = 0

    def __add__(self, other: AnswerSize) -> AnswerSize:
        return AnswerSize(self.by_coef + other.by_coef, self.whole + other.whole, self.dealt + other.dealt)


@dataclass(frozen=True)
class Sums:
    """Weighted sums over rows, for one or more points; undivided, so that they add.

    A field that no row filled is None, the neutral element of ``+``; ``Sums()`` is the zero. Shapes: m points, s coefs.

    Attributes
    ----------
    value : ndarray (m,)
        Sum of ``weight * loss``.
    gradient : ndarray (m, s)
        Sum of ``weight * d loss / d coef``.
    weight : ndarray (m,)
        Sum of the weights of the rows that were used.
    held_out_value, held_out_weight : ndarray (m,)
        The same for the rows that a point holds out.
    hessian : ndarray (s, s)
        Sum of ``weight * d2 loss / d coef2`` at the one point.
    product : ndarray (q, s)
        Hessian sum times each of q directions.
    dual_height : ndarray (m, 2)
        Sum of ``weight * (a z - l*(y, a))`` over rows with dual variable a > 0, and over rows with a < 0.
    dual_slope : ndarray (m, 2, s)
        Sum of ``weight * a * d z / d coef`` over the same rows.
    move, information : ndarray (s,)
        Sum of ``information * move`` over the partitions' local epochs, and of ``information``: how much a partition
        knows of each entry of the coef (see `sparkgd.questions.epochs`).
    rows : ndarray (p + 3, n)
        The n rows of the dataset themselves, each a column of its own (see `sparkgd.questions.rows`), or what is known
        of each (see `sparkgd.questions.held_out_scores`).
    groups : ndarray (g, p + 3)
        Sums of ``weight * [x, label, 1, offset]`` over groups of rows (see `sparkgd.questions.condense`).
    totals : ndarray (m, t)
        Sums of t quantities of a row and its prediction (see `sparkgd.questions.held_out_totals`).
    entries : Entries or None
        The entries of a coef that `BY_COEF` are about, all others being zero; None for all of them.
    """

    value: Array | None = None
    gradient: Array | None = None
    weight: Array | None = None
    held_out_value: Array | None = None
    held_out_weight: Array | None = None
    hessian: Array | None = None
    product: Array | None = None
    dual_height: Array | None = None
    dual_slope: Array | None = None
    move: Array | None = None
    information: Array | None = None
    rows: Array | None = None
    groups: Array | None = None
    totals: Array | None = None
    entries: Entries | None = None

    def __add__(self, other: Sums) -> Sums:
        together = _together(self, other)
        left, right = self._about(together), other._about(together)
        added: dict[str, Any] = {name: _add(getattr(left, name), getattr(right, name)) for name in ARRAYS}
        return replace(left, **added)

    def dense(self) -> Sums:
        """The same with arrays as long as a coef."""
        return self._about(None)

    def cut(self, count: int) -> list[Sums]:
        """``count`` ranges of the last axis of every array; those of several sums add up by themselves."""
        return [self._range(number, count) for number in range(count)]

    def _range(self, number: int, count: int) -> Sums:
        """One of ``count`` ranges."""
        arrays: dict[str, Array] = {}
        for name in ARRAYS:
            array = getattr(self, name)
            if array is None:
                continue
            if self.entries is not None and name in BY_COEF:
                arrays[name] = array[..., self.entries.places(*_bounds(self.entries.size, number, count))]
            else:
                arrays[name] = array[..., slice(*_bounds(array.shape[-1], number, count))]
        entries = None if self.entries is None else self.entries.between(*_bounds(self.entries.size, number, count))
        return Sums(entries=entries, **arrays)

    def _about(self, entries: Entries | None) -> Sums:
        """The same about a superset of the entries."""
        if self.entries is entries:
            return self
        if self.entries is None:  # there are no fields by coef
            return replace(self, entries=entries)
        places, size = self.entries.numbers, self.entries.size
        if entries is not None:
            places, size = np.searchsorted(entries.numbers, places), len(entries.numbers)
        known = {name: getattr(self, name) for name in BY_COEF if getattr(self, name) is not None}
        whole: dict[str, Any] = {name: spread(array, places, size) for name, array in known.items()}
        return replace(self, entries=entries, **whole)


def joined(ranges: Sequence[Sums]) -> Sums:
    """What was `Sums.cut` into these ranges."""
    parts = [part.dense() for part in ranges]
    found = {name: [getattr(part, name) for part in parts] for name in ARRAYS}
    whole: dict[str, Any] = {
        name: np.concatenate(arrays, axis=-1) for name, arrays in found.items() if arrays[0] is not None
    }
    return Sums(**whole)


def _bounds(length: int, number: int, count: int) -> tuple[int, int]:
    """Start and stop of one of ``count`` nearly equal ranges of so many entries."""
    return length * number // count, length * (number + 1) // count


ARRAYS = tuple(field.name for field in fields(Sums) if field.name != "entries")


def _together(left: Sums, right: Sums) -> Entries | None:
    """The entries that the sum of both is about."""
    if all(getattr(left, name) is None for name in BY_COEF):
        return right.entries
    if all(getattr(right, name) is None for name in BY_COEF):
        return left.entries
    if left.entries is None or right.entries is None:
        return None
    if np.array_equal(left.entries.numbers, right.entries.numbers):
        return left.entries
    return left.entries.with_others(right.entries)


def _add(left: Array | None, right: Array | None) -> Array | None:
    if left is None:
        return right
    return left if right is None else left + right
