"""What Spark knows of the size of a DataFrame's rows without a job."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NUMBER_BYTES = 8

KNOWN_SIZE = frozenset(
    {"LocalRelation", "Range", "Project", "Filter", "Sort", "LocalLimit", "GlobalLimit", "Union", "Repartition"}
)
"""Operators of Spark's logical plans of whose rows there are no more than Spark knows."""


def is_small(df: DataFrame, limit: int) -> bool:
    """Whether Spark knows, without a job, that the rows take at most ``limit`` bytes.

    Spark knows the size of what is cached or local. Its estimate for files is that of the files, which may be
    compressed a hundred times over, so files are never said to be small; nor is what joins, explodes or computes rows
    in Python.
    """
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(plan.stats().sizeInBytes()) <= limit and all(_is_known(node, limit) for node in _nodes(plan))


def mean_row_bytes(df: DataFrame) -> float:
    """Size of a mean row of the cached tables that are read, the largest of them; infinite where there is none."""
    nodes = [node for node in _nodes(df._jdf.queryExecution().optimizedPlan()) if _is_cached(node)]
    sizes = [int(node.stats().sizeInBytes()) / max(_rows(node), 1) for node in nodes]
    return max(sizes, default=math.inf)


def _nodes(plan: Any) -> Iterator[Any]:
    """A logical plan's operators."""
    yield plan
    children = plan.children()
    for i in range(children.size()):
        yield from _nodes(children.apply(i))


def _is_known(node: Any, limit: int) -> bool:
    """Whether an operator adds no rows, or is a source whose rows, decompressed, take at most ``limit`` bytes."""
    if not _is_cached(node):
        return node.getClass().getSimpleName() in KNOWN_SIZE
    numbers = _rows(node) * int(node.output().size())
    return max(numbers * NUMBER_BYTES, int(node.stats().sizeInBytes())) <= limit


def _is_cached(node: Any) -> bool:
    """Whether an operator is a table whose rows are in the cache already."""
    is_table = node.getClass().getSimpleName() == "InMemoryRelation"
    return is_table and bool(node.cacheBuilder().isCachedColumnBuffersLoaded())


def _rows(node: Any) -> int:
    """Rows of a cached table."""
    return int(str(node.stats().rowCount().get()))
