"""The features of a row, in one column or in several, as one array or vector; and which rows have invalid ones."""

from __future__ import annotations

from functools import reduce

from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, NumericType

from sparkgd.ml.lookup import Found, find, wrong_type

ONE = "a vector or an array of numbers (or name numeric featuresCols)"
SEVERAL = "a number, a vector or an array of numbers"

NAN = float("nan")


def read_features(df: DataFrame, features: str | tuple[str, ...]) -> list[Column]:
    """The columns of features that ingest reads; see `sparkgd.data.columns`.

    Of several columns those that are no numbers have each a column of their own too, ``part 0`` for the first: null
    where they are, so that nulls are counted by the user's names.
    """
    if isinstance(features, str):
        found = _one(df, features)
        return _vector_parts(found.column) if _is_vector(found) else [_array(found).alias("features")]
    parts = [_part(df, name) for name in features]
    marks = [
        F.when(part.column.isNotNull(), True).alias(f"part {k}") for k, part in enumerate(parts) if not part.is_number
    ]
    return [_joined(parts).alias("features"), *marks]


def vector_column(
    df: DataFrame, features: str | tuple[str, ...], invalid: str = "error", width: int | None = None
) -> Column:
    """The features as one vector that ``pyspark.ml`` can read.

    Parameters
    ----------
    df : DataFrame
    features : str or tuple of str
    invalid : str
        ``keep`` turns what is null into NaN; otherwise a null in one of several columns is an error of the job.
    width : int, optional
        Number of features, with which ``keep`` replaces vectors that are null.
    """
    missing = F.array_repeat(F.lit(NAN), width or 0)
    if isinstance(features, str):
        found = _one(df, features)
        if _is_vector(found) and invalid == "keep":
            return F.coalesce(found.column, array_to_vector(missing))
        if _is_vector(found):
            return found.column
        array = _array(found)
    else:
        parts = [_part(df, name) for name in features]
        array = _joined([_filled(part, invalid) for part in parts])
    if invalid == "keep":
        array = F.coalesce(F.transform(array, lambda x: F.coalesce(x, F.lit(NAN))), missing)
    return array_to_vector(array)


def is_valid(df: DataFrame, features: str | tuple[str, ...]) -> Column:
    """Whether no feature of a row is null or NaN."""
    parts = [_one(df, features)] if isinstance(features, str) else [_part(df, name) for name in features]
    return reduce(lambda left, right: left & right, map(_is_valid, parts))


def _is_valid(part: Found) -> Column:
    if part.is_number:
        number = part.column.cast("double")
        return number.isNotNull() & ~F.isnan(number)
    values = F.unwrap_udt(part.column).getField("values") if _is_vector(part) else _array(part)
    return part.column.isNotNull() & ~F.exists(values, lambda x: x.isNull() | F.isnan(x))


def _one(df: DataFrame, name: str) -> Found:
    found = find(df, name, "featuresCol")
    if not (_is_vector(found) or _is_array(found)):
        raise wrong_type("featuresCol", name, found.kind, ONE)
    return found


def _part(df: DataFrame, name: str) -> Found:
    found = find(df, name, "featuresCols")
    if not (found.is_number or _is_vector(found) or _is_array(found)):
        raise wrong_type("featuresCols", name, found.kind, SEVERAL)
    return found


def _is_vector(found: Found) -> bool:
    return isinstance(found.kind, VectorUDT)


def _is_array(found: Found) -> bool:
    return isinstance(found.kind, ArrayType) and isinstance(found.kind.elementType, NumericType)


def _array(found: Found) -> Column:
    """A part as an array of doubles."""
    if found.is_number:
        return F.array(found.column.cast("double"))
    if _is_vector(found):  # of a null the function makes an error
        return F.when(found.column.isNotNull(), vector_to_array(found.column))
    return found.column.cast("array<double>")


def _joined(parts: list[Found]) -> Column:
    """Several parts, one after the other, as an array; numbers alone need no concatenation."""
    if all(part.is_number for part in parts):
        return F.array(*[part.column.cast("double") for part in parts])
    return F.concat(*map(_array, parts))


def _filled(part: Found, invalid: str) -> Found:
    """A number without nulls: NaN in their place, or an error that names the column."""
    if not part.is_number:
        return part
    told = f"column {part.name!r} is null in a row; impute or drop it, or set handleInvalid to 'skip' or 'keep'"
    instead = F.lit(NAN) if invalid == "keep" else F.raise_error(F.lit(told)).cast("double")
    return Found(F.coalesce(part.column.cast("double"), instead), part.field, part.name)


def _vector_parts(column: Column) -> list[Column]:
    """Values, and indices with the size, of a vector, read straight from its row format: nothing is densified.

    The indices of a dense vector are null; an empty array instead spares Arrow the null lists, which cost four times
    the whole transfer.
    """
    parts = F.unwrap_udt(column)
    indices = F.array_append(parts.getField("indices"), parts.getField("size"))
    return [
        parts.getField("values").alias("features"),
        F.coalesce(indices, F.array().cast("array<int>")).alias("indices"),
    ]
