"""Which rows each task of a round scans: whole partitions, or ranges of rows of those that are too large.

A block is a file that every worker of its machine can map, so a large one is shared without moving a row. The ranges
depend on the sizes of the partitions and the number of tasks alone, never on where or when anything ran: sums are added
in the same order on every run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from sparkgd.data.blockfile import BlockHandle

SKEW_LIMIT = {"auto": 1.5, "always": 1.0, "never": float("inf")}
"""Cost of the largest partition, in means of a task, above which partitions are shared, by the param ``balance``."""


@dataclass(frozen=True)
class RowRange:
    """Rows ``start`` to ``stop`` of a partition."""

    partition: int
    start: int
    stop: int


def row_ranges_of(handles: Mapping[int, BlockHandle], tasks: int, limit: float) -> list[RowRange]:
    """What each task of a round scans, in the order of rows.

    The cost of a partition is its stored values and its rows. Where no partition costs more than ``limit`` times a
    task's fair share, each is one task's; else each is cut into as few ranges as are at most a fair share.

    Parameters
    ----------
    handles : mapping of int to BlockHandle
        Blocks by partition.
    tasks : int
        Tasks that can run at once.
    limit : float
    """
    costs = {index: handle.stored + handle.rows for index, handle in sorted(handles.items())}
    total = max(sum(costs.values()), 1)
    skewed = max(costs.values(), default=0) * tasks > limit * total
    ranges = []
    for index, cost in costs.items():
        rows = handles[index].rows
        count = max(min(-(-cost * tasks // total), rows), 1) if skewed else 1
        edges = [rows * i // count for i in range(count + 1)]
        ranges += [RowRange(index, start, stop) for start, stop in pairwise(edges)]
    return ranges
