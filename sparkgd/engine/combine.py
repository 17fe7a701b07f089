"""The order in which partial sums are added: by partition, in groups, so that results never depend on task timing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

from sparkgd.engine.partial import Partial


def levels(partitions: int, depth: int) -> list[int]:
    """Group size at each level of the tree below the driver, leaves first; empty where few partitions need no tree.

    A tree of depth d has about ``partitions ** (1 / d)`` branches at every level, as Spark's ``treeAggregate``.
    """
    sizes: list[int] = []
    scale = max(round(partitions ** (1.0 / depth)), 2)
    while len(sizes) < depth - 1 and partitions > scale + partitions / scale:
        sizes.append(scale)
        partitions = -(-partitions // scale)
    return sizes


def combine(partials: Sequence[Partial], depth: int) -> Partial:
    """Sum of all partitions' partials, added in the same order as the cluster's tree adds them."""
    level = list(partials)
    for size in levels(len(level), depth):
        level = [add_all(level[i : i + size]) for i in range(0, len(level), size)]
    return add_all(level)


def add_all(partials: Sequence[Partial]) -> Partial:
    """Left fold of ``+``; for none at all a partial without sums, whose fingerprint is that of no rows."""
    return reduce(add, partials) if partials else Partial(())
