"""What Spark knows of the size of a DataFrame's rows without a job."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkgd.engine.classic.expression_size import NUMBER_BYTES, ExpressionSize

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SAME_ROWS = frozenset({"Filter", "Sort", "LocalLimit", "GlobalLimit", "Repartition"})
"""Operators of Spark's logical plans that return rows that they are given."""


@dataclass(frozen=True)
class Most:
    """There are no more rows than these, and all of them take no more bytes."""

    rows: float
    bytes: float


UNKNOWN = Most(math.inf, math.inf)


def is_small(df: DataFrame, limit: int) -> bool:
    """Whether Spark knows, without a job, that the rows take at most ``limit`` bytes.

    Spark knows the size of what is cached or local. Its estimate for files is that of the files, which may be
    compressed a hundred times over, so files are never said to be small; nor is what joins, explodes or computes rows
    in Python, or arrays by other expressions than those of `ExpressionSize`.
    """
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(plan.stats().sizeInBytes()) <= limit and _most(plan, df.sparkSession._jvm).bytes <= limit


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


def _most(node: Any, jvm: Any) -> Most:
    """What an operator returns."""
    kind = node.nodeName()
    if _is_cached(node):
        rows = _rows(node)  # compressed, they may take less than their numbers
        return Most(rows, max(rows * int(node.output().size()) * NUMBER_BYTES, int(node.stats().sizeInBytes())))
    if kind == "Range":
        size = int(node.stats().sizeInBytes())
        return Most(size // NUMBER_BYTES, size)
    if kind == "LocalRelation":
        # What was computed of local rows is local too, and Spark's estimate does not count the values of arrays.
        return Most(int(node.data().size()), int(jvm.org.apache.spark.util.SizeEstimator.estimate(node.data())))
    if kind in SAME_ROWS or kind == "Union" or kind == "Project":
        children = node.children()
        inputs = [_most(children.apply(i), jvm) for i in range(children.size())]
        given = Most(sum(most.rows for most in inputs), sum(most.bytes for most in inputs))
        return _projected(node, given, jvm) if kind == "Project" else given
    return UNKNOWN


def _projected(project: Any, given: Most, jvm: Any) -> Most:
    """What is made of the given rows."""
    if given == UNKNOWN:
        return UNKNOWN
    size, expressions = ExpressionSize(jvm), project.projectList()
    for i in range(expressions.size()):
        size.add(expressions.apply(i))
    return Most(given.rows, given.rows * size.made + given.bytes * size.copies)


def _is_cached(node: Any) -> bool:
    """Whether an operator is a table whose rows are in the cache already."""
    is_table = node.nodeName() == "InMemoryRelation"
    return is_table and bool(node.cacheBuilder().isCachedColumnBuffersLoaded())


def _rows(node: Any) -> int:
    """Rows of a cached table."""
    return int(str(node.stats().rowCount().get()))
