"""Finding a column by its name: exactly, by Spark's rule of case, or as a field of a struct."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql.types import BooleanType, DataType, NumericType, StructField, StructType

from sparkgd.ml.errors import InvalidDataError


@dataclass(frozen=True)
class Found:
    """A column of a DataFrame, or a field of one.

    Attributes
    ----------
    column : Column
    field : StructField
    name : str
        As the user calls it.
    """

    column: Column
    field: StructField
    name: str

    @property
    def kind(self) -> DataType:
        """Its type."""
        return self.field.dataType

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers or booleans."""
        return isinstance(self.kind, NumericType | BooleanType)


def find(df: DataFrame, name: str, param: str) -> Found:
    """The column that a param names: one of exactly this name, dots included, before a field of a struct.

    Raises
    ------
    InvalidDataError
        If there is none.
    """
    same = _same_name(df)
    field = _field(df.schema, name, same)
    if field is not None:
        return Found(df[quoted(field.name)], field, name)
    path = _path(df.schema, name.split("."), same)
    if path:
        return Found(df[".".join(quoted(part.name) for part in path)], path[-1], name)
    known = ", ".join(repr(column) for column in df.columns[:20])
    raise InvalidDataError(f"{param}={name!r} does not exist; the DataFrame has {known}")


def wrong_type(param: str, name: str, kind: DataType, allowed: str) -> InvalidDataError:
    """The error of a column of another type than it must have."""
    return InvalidDataError(f"{param}={name!r} has type {kind.simpleString()}; it must be {allowed}")


def quoted(name: str) -> str:
    """Column names may contain dots, which Spark would read as struct fields."""
    return f"`{name.replace('`', '``')}`"


def _same_name(df: DataFrame) -> Callable[[str, str], bool]:
    """Spark's rule when two names are the same; the session is called for it only where names differ in case alone."""

    @cache
    def is_case_sensitive() -> bool:
        return bool(df.sparkSession.conf.get("spark.sql.caseSensitive") == "true")

    return lambda left, right: left == right or (left.lower() == right.lower() and not is_case_sensitive())


def _field(schema: StructType, name: str, same: Callable[[str, str], bool]) -> StructField | None:
    exact = [field for field in schema.fields if field.name == name]
    alike = [field for field in schema.fields if same(field.name, name)]
    return next(iter([*exact, *alike]), None)


def _path(schema: DataType, parts: list[str], same: Callable[[str, str], bool]) -> list[StructField]:
    """The fields on the way to a nested one; none where it does not exist."""
    if not isinstance(schema, StructType):
        return []
    field = _field(schema, parts[0], same)
    if field is None or len(parts) == 1:
        return [] if field is None else [field]
    rest = _path(field.dataType, parts[1:], same)
    return [field, *rest] if rest else []
