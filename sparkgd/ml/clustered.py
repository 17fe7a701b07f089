"""Rows that are alike within clusters: the column that names these, and the spread of their scores."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DayTimeIntervalType,
    NullType,
    NumericType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
    YearMonthIntervalType,
)

from sparkgd.engine.grouped import GROUP, GroupSpread, spread_of_groups
from sparkgd.kernels.information import ScoresByGroup
from sparkgd.ml.columns import InputColumns, select_input
from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.lookup import find, wrong_type

PLAIN = (
    NumericType, BooleanType, StringType, BinaryType, DateType, TimestampType, TimestampNTZType, DayTimeIntervalType,
)  # fmt: skip
"""Types that Arrow can tell apart; of others it is their texts, or their parts."""

TEXT = (YearMonthIntervalType, NullType)
"""Types that reach Python as texts."""


def cluster_column(df: DataFrame, name: str) -> Column:
    """The ids of clusters, of any type by which Spark groups.

    Raises
    ------
    InvalidDataError
        If there is no such column, or it has a type by which nothing can be grouped.
    """
    found = find(df, name, "clusterCol")
    if isinstance(found.kind, TEXT):
        return found.column.cast("string").alias(GROUP)
    if not _can_group(found.kind):
        raise wrong_type(
            "clusterCol", name, found.kind, "a type by which Spark can group rows (a string, a number, ...)"
        )
    return found.column.alias(GROUP)


def _can_group(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return all(_can_group(field.dataType) for field in kind.fields)
    if isinstance(kind, ArrayType):
        return _can_group(kind.elementType)
    return isinstance(kind, PLAIN)


def spread_of_clusters(
    df: DataFrame, columns: InputColumns, name: str, scores: ScoresByGroup, description: str
) -> GroupSpread:
    """Read the rows and add up their scores by cluster.

    Raises
    ------
    InvalidDataError
        If rows have no cluster, or there is one cluster for all of them.
    """
    selected = select_input(df, columns, cluster_column(df, name))
    found = spread_of_groups(selected, scores, description)
    if found.without:
        rows = "1 row" if found.without == 1 else f"{found.without} rows"
        raise InvalidDataError(
            f"clusterCol: column {name!r} has {rows} with values that are null; give each a cluster, or drop it"
        )
    if found.groups < 2:
        raise InvalidDataError(f"clusterCol: column {name!r} has one cluster for all rows; errors need at least two")
    return found
