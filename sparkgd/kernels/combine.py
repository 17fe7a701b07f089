"""The order in which partial sums are added: by partition, in groups, so that results never depend on task timing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Protocol, TypeVar


class Addable(Protocol):
    """What adds up, such as `Sums`."""

    def __add__(self: AddableT, other: AddableT, /) -> AddableT: ...


AddableT = TypeVar("AddableT", bound=Addable)


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


def combine(parts: Sequence[AddableT], depth: int) -> AddableT:
    """Sum of all partitions' parts, one at least, added in the same order as a cluster's tree adds them."""
    level = list(parts)
    for size in levels(len(level), depth):
        level = [reduce(add, level[i : i + size]) for i in range(0, len(level), size)]
    return reduce(add, level)
