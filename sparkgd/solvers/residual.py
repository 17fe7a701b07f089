"""Distance from optimality."""

from __future__ import annotations

import numpy as np

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array


def prox_residual(penalty: Penalty, point: Array, gradient: Array) -> float:
    """Norm of ``u - prox(u - grad f(u))``: zero exactly at a minimiser, the gradient's norm where r is zero."""
    if penalty.is_smooth:
        return float(np.linalg.norm(gradient))
    return float(np.linalg.norm(point - penalty.prox(point - gradient, 1.0)))
