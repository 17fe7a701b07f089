"""The few entries of a point that matter under L1, while all others rest at their kinks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array
from sparkgd.solvers.pieces import steepest_descent

ROOM = 128
"""Entries at their kinks for which a working set has room in any case."""


def working_set(penalty: Penalty, point: Array, gradient: Array, largest: int) -> npt.NDArray[np.intp]:
    """Entries off their kinks, then those that would leave theirs with the steepest slope; ascending.

    As in working set methods for the lasso (Johnson and Guestrin, 2015; Massias, Gramfort and Salmon, 2018), the set
    may double from one iteration to the next, up to ``largest`` entries; beyond, it grows by `ROOM`.
    """
    left, right = penalty.slopes(point)
    slope = np.abs(steepest_descent(penalty, point, gradient))
    free = (left == right) & ((point != 0.0) | (slope > 0.0))  # a constant column is zero and has no slope
    known = int(np.count_nonzero(free))
    wanted = np.lexsort((-slope, ~free))[: known + max(min(known, largest - known), ROOM)]
    return np.sort(wanted[free[wanted] | (slope[wanted] > 0.0)])
