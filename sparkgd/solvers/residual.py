"""Distance from optimality, and totals of smooth and rough part."""

from __future__ import annotations

import numpy as np

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array


def prox_residual(penalty: Penalty, point: Array, gradient: Array) -> float:
    """Norm of ``u - prox(u - grad f(u))``: zero exactly at a minimiser, the gradient's norm where r is zero."""
    if penalty.is_smooth:
        return float(np.linalg.norm(gradient))
    return float(np.linalg.norm(point - penalty.prox(point - gradient, 1.0)))


def prox_residuals(penalty: Penalty, points: Array, gradients: Array) -> Array:
    """`prox_residual` of each of m points, shape (m,)."""
    return np.array([prox_residual(penalty, *pair) for pair in zip(points, gradients, strict=True)])


def total_values(penalty: Penalty, points: Array, values: Array) -> Array:
    """``f + r`` at each of m points, shape (m,), given ``values`` of f."""
    return np.asarray(values + np.array([penalty.rough_value(point) for point in points]))
