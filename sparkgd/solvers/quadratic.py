"""Minimising a quadratic model of few variables, with or without a rough penalty, on the driver."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array
from sparkgd.solvers.pieces import steepest_descent

MAX_SWEEPS = 200
ACCURACY = 1e-12
"""Sweeps end when one lowers the model by less than this share of what all have lowered it by, or promises no more."""

STIFFNESS = 1e-12
"""Added to the diagonal on a face, as a share of its largest entry: along columns that stand in for each other, where
the model is flat, rounding would choose a move as long as the face. What it takes from other moves the next sweep adds.
"""

FACE_STEPS: Array = np.array([1.0, 0.5, 0.25, 0.0])


def model_step(penalty: Penalty, point: Array, gradient: Array, hessian: Array) -> Array:
    """``argmin_d  gradient . d + d^T hessian d / 2 + r(point + d)``, r the rough part of a piecewise penalty.

    On the face of the current point, which says what weights sit at a kink or a wall, the model is minimised by a
    linear system. Where a weight then has reason to leave the face, cyclic coordinate descent finds the next one: few
    sweeps suffice, and none where the face is right from the start.
    """
    if penalty.is_smooth:
        return -solve_positive(hessian, gradient)
    start, gained = penalty.rough_value(point), -np.inf
    current = _on_face(penalty, point.copy(), gradient, hessian)
    for _ in range(MAX_SWEEPS):
        move, before = current - point, gained
        slope = gradient + hessian @ move
        gained = start - penalty.rough_value(current) - 0.5 * float((gradient + slope) @ move)
        enough = ACCURACY * abs(gained)
        if gained - before <= enough or _promised(penalty, current, slope, hessian) <= enough or np.isnan(gained):
            break
        _sweep(penalty, current, slope, hessian)
        current = _on_face(penalty, current, slope, hessian)
    return current - point


def _promised(penalty: Penalty, current: Array, slope: Array, hessian: Array) -> float:
    """What the model would fall by if each entry moved to its best place, and none of the others."""
    steepest, curvature = steepest_descent(penalty, current, slope), np.diag(hessian)
    can_move = curvature > 0.0
    return 0.5 * float(np.sum(np.square(steepest[can_move]) / curvature[can_move]))


def _sweep(penalty: Penalty, current: Array, slope: Array, hessian: Array) -> None:
    """One cycle of coordinate descent, in place; an entry moves at most to the end of its linear piece."""
    ones = np.ones_like(current)
    left, right = (side.tolist() for side in penalty.slopes(current))
    low, high = penalty.piece(current, -ones)[0].tolist(), penalty.piece(current, ones)[1].tolist()
    for j in np.flatnonzero(np.diag(hessian) > 0.0):
        before, down = float(current[j]), float(slope[j])
        down += min(max(-down, left[j]), right[j])
        after = min(max(before - down / float(hessian[j, j]), low[j]), high[j])
        if after != before:
            current[j] = after
            slope += (after - before) * hessian[j]


def _on_face(penalty: Penalty, current: Array, slope: Array, hessian: Array) -> Array:
    """The best of some moves towards the model's minimiser on the face of ``current``, cut off where it ends."""
    left, right = penalty.slopes(current)
    free = (left == right) & (np.diag(hessian) > 0.0)
    if not free.any():
        return current
    move = np.zeros_like(current)
    face = hessian[np.ix_(free, free)]
    face[np.diag_indices_from(face)] += STIFFNESS * np.max(np.diag(face))
    move[free] = -solve_positive(face, slope[free] + left[free])
    low, high = penalty.piece(current, move)
    room = np.where(move > 0.0, high - current, current - low)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.min(np.where(move != 0.0, room / np.abs(move), np.inf))
    steps = np.append(FACE_STEPS, min(1.0, float(reach)))
    ends = np.clip(current + steps[:, None] * move, low, high)
    moves = ends - current
    changes = moves @ (slope + np.where(free, left, 0.0)) + 0.5 * np.einsum("mn,mn->m", moves @ hessian, moves)
    return np.asarray(ends[np.argmin(changes)])  # current + move may lie beyond a wall by rounding


def solve_positive(matrix: Array, vector: Array) -> Array:
    """Solution of a positive semi-definite system, with the least shift of the diagonal that makes it definite.

    A system that is not finite has no solution: nan.
    """
    if not len(vector):
        return vector  # LAPACK need not know what to do with nothing
    if not (np.isfinite(matrix).all() and np.isfinite(vector).all()):
        return np.full_like(vector, np.nan)
    scale = float(np.max(np.diag(matrix), initial=0.0)) or 1.0
    shift = 0.0
    while True:
        try:
            factor = linalg.cho_factor(matrix + shift * np.eye(len(matrix)), check_finite=False)
            return np.asarray(linalg.cho_solve(factor, vector, check_finite=False))
        except linalg.LinAlgError:
            shift = max(10.0 * shift, 1e-14 * scale)
