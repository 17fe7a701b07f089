"""Errors of the data themselves, found while packing: each names the column and counts the rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sparkgd.data.statistics import MAX_CLASSES, Statistics
from sparkgd.engine.packed import PackedPartition
from sparkgd.losses.base import LabelRange, LabelSummary
from sparkgd.ml.columns import InputColumns
from sparkgd.ml.errors import EmptyDataError, InvalidDataError

ADVICE = {
    "features": "impute or drop them before fit",
    "label": "drop these rows before fit",
    "weight": "weights must be finite and not negative",
    "offset": "drop these rows before fit",
    "fold": "say true or false for every row",
}

CLASSES = LabelRange(0.0, MAX_CLASSES, integer=True)
"""Labels that can be told apart as classes."""


def check_rows(parts: Iterable[PackedPartition], columns: InputColumns) -> None:
    """Refuse empty data, nulls, vectors of different lengths, and values that are not finite.

    Raises
    ------
    InvalidDataError
    """
    parts = list(parts)
    names = columns.role_names()
    with_nulls = {role for part in parts for role in part.handle.nulls}
    for role in (role for role in names if role in with_nulls):
        nulls = sum(part.handle.nulls.get(role, 0) for part in parts)
        raise _bad_rows(role, names[role], nulls, "null")
    widths = {width for part in parts if part.handle.source_rows or part.handle.ragged for width in part.handle.widths}
    if not widths:
        raise EmptyDataError("the DataFrame has no rows; there is nothing to train on")
    if len(widths) > 1:
        lengths = ", ".join(str(width) for width in sorted(widths)[:10])
        raise InvalidDataError(
            f"column {names['features']!r} holds vectors of different lengths ({lengths}); all must have the same"
        )


def check_has_features(statistics: Statistics, columns: InputColumns) -> None:
    """Refuse vectors of length 0 for a model of several outputs: the JVM cannot score it.

    Raises
    ------
    InvalidDataError
    """
    if not len(statistics.mean):
        name = columns.role_names()["features"]
        raise InvalidDataError(
            f"column {name!r} holds vectors of length 0; there are no features, and a multinomial model needs some"
        )


def check_problems(statistics: Statistics, columns: InputColumns) -> None:
    """Refuse values that cannot be trained on.

    Raises
    ------
    InvalidDataError
    """
    names = columns.role_names()
    for (role, problem), count in statistics.problems.items():
        where = ""
        if role == "features" and statistics.bad_columns:
            found = sorted(statistics.bad_columns)
            where = " in " + ", ".join(columns.feature_name(j, len(statistics.mean)) for j in found[:10])
            where += f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise _bad_rows(role, names[role], count, problem, where)


def check_sizes(statistics: Statistics, columns: InputColumns) -> None:
    """Refuse numbers whose squares are beyond the largest: no column could be scaled.

    Raises
    ------
    InvalidDataError
    """
    if not np.isfinite(statistics.weight_squares):
        where = "by classWeight" if columns.weight is None else f"in column {columns.weight!r}"
        raise InvalidDataError(
            f"weights {where} that add up to {statistics.weight:.3g} are too large: their squares overflow. Only their "
            "ratios matter; divide them by the largest"
        )
    too_large = np.flatnonzero(~np.isfinite(statistics.squares))
    if len(too_large):
        name = columns.role_names()["features"]
        where = ", ".join(columns.feature_name(int(j), len(statistics.mean)) for j in too_large[:10])
        raise InvalidDataError(
            f"column {name!r}: the values of {where} are so large that their variance overflows; give them in a larger "
            "unit"
        )


def check_weights(statistics: Statistics, columns: InputColumns) -> None:
    """Refuse training rows whose weights are all zero.

    Raises
    ------
    InvalidDataError
    """
    if statistics.rows == 0:
        where = "by classWeight" if columns.weight is None else f"in column {columns.weight!r}"
        raise InvalidDataError(f"every weight {where} is zero; at least one row needs a positive weight")


def check_classes(statistics: Statistics, columns: InputColumns) -> None:
    """Refuse labels that are no classes where ``classWeight`` needs to know the class of each row.

    Raises
    ------
    InvalidDataError
    """
    low, high = statistics.label_low, statistics.label_high
    if not CLASSES.allows(low, high, statistics.label_integer):
        found = f"column {columns.label!r} holds {_labels(low, high, statistics.label_integer)}"
        raise InvalidDataError(f"{found}; classWeight needs {CLASSES}. Index the labels with StringIndexer")


def check_label(label: LabelSummary, columns: InputColumns, loss: str, allowed: LabelRange) -> None:
    """Refuse labels outside the allowed range.

    Parameters
    ----------
    label : LabelSummary
        Of all rows.
    columns : InputColumns
    loss : str
        The loss's name.
    allowed : LabelRange

    Raises
    ------
    InvalidDataError
    """
    if not allowed.allows(label.low, label.high, label.integer):
        found = f"column {columns.label!r} holds {_labels(label.low, label.high, label.integer or not allowed.integer)}"
        raise InvalidDataError(f"{found}; the {loss} loss needs {allowed}")
    if not np.isfinite(label.variance):
        raise InvalidDataError(
            f"column {columns.label!r} holds {_labels(label.low, label.high, True)}, so large that their variance "
            "overflows; give them in a larger unit"
        )


def _labels(low: float, high: float, integer: bool) -> str:
    return f"labels from {low:g} to {high:g}{'' if integer else ', some of them fractional'}"


def _bad_rows(role: str, name: str, count: int, problem: str, where: str = "") -> InvalidDataError:
    rows = "1 row" if count == 1 else f"{count} rows"
    advice = ADVICE.get(role, ADVICE["features"])
    return InvalidDataError(f"column {name!r}: {rows} with values that are {problem}{where}; {advice}")
