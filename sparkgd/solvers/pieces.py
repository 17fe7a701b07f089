"""Moves over the linear pieces of a rough penalty.

With L1 or bounds the objective is smooth on each box between kinks and walls. A quasi-Newton or Newton step is taken on
the box that the steepest descent leads into, and is cut off where the box ends (the orthants of Andrew and Gao, 2007;
the two-metric projection of Bertsekas, 1982). Without kinks and walls all this is the identity, and costs nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array


def steepest_descent(penalty: Penalty, point: Array, gradient: Array) -> Array:
    """Minus the shortest subgradient of ``f + r``: zero exactly at a minimiser."""
    if penalty.is_smooth:
        return -gradient
    left, right = penalty.slopes(point)
    return -(gradient + np.clip(-gradient, left, right))


def free_entries(penalty: Penalty, point: Array, steepest: Array) -> npt.NDArray[np.bool_]:
    """Entries that may move: those inside a linear piece, and those that leave a kink along ``steepest``."""
    if penalty.is_smooth:
        return np.ones(len(point), dtype=bool)
    left, right = penalty.slopes(point)
    return np.asarray((left == right) | (steepest != 0.0))


def aligned(penalty: Penalty, point: Array, steepest: Array, direction: Array) -> Array:
    """``direction`` without the entries that leave a kink against ``steepest``."""
    if penalty.is_smooth:
        return direction
    left, right = penalty.slopes(point)
    return np.where((left == right) | (direction * steepest > 0.0), direction, 0.0)


def cut_moves(penalty: Penalty, point: Array, steepest: Array, direction: Array, steps: Array) -> Array:
    """``point + step * direction`` for each step, shape (m, n), cut off at the ends of the linear pieces."""
    trials = steps[:, None] * direction
    trials += point
    if penalty.is_smooth:
        return trials
    return np.clip(trials, *penalty.piece(point, steepest), out=trials)
