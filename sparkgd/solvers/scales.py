"""Newton steps where the last unknowns are scales: positive, with a loss that is defined for no others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Array
from sparkgd.solvers.quadratic import model_step

FACTOR = 10.0
"""By which a scale changes in one step, at most."""


def scaled_step(
    penalty: Penalty, point: Array, gradient: Array, hessian: Array, is_scale: npt.NDArray[np.bool_]
) -> tuple[Array, bool]:
    """The model's minimiser with each scale kept within walls, as a step, and whether it is free of them.

    A loss of residuals in units of a scale is linear along the way on which both vanish together, so that its quadratic
    model goes far beyond zero. A scale at its wall is fixed there, and the others minimise the model given that: to
    shorten the whole step instead would let the scale fall, while the coefs stay where they are.
    """
    step = model_step(penalty, point, gradient, hessian)
    low, high = _walls(penalty, point, gradient, hessian, is_scale)
    outside = is_scale & ((point + step < low) | (point + step > high))
    if not outside.any():
        return step, True
    step = np.where(outside, np.clip(point + step, low, high) - point, 0.0)
    free, slope = np.flatnonzero(~outside), gradient + hessian @ step
    step[free] = model_step(penalty.restricted(free), point[free], slope[free], hessian[np.ix_(free, free)])
    return step, False


def _walls(
    penalty: Penalty, point: Array, gradient: Array, hessian: Array, is_scale: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Between which the scales may move.

    A scale does not fall while that promises less than the other unknowns do alone: the residuals are not small yet,
    and in units of a tiny scale all of them would be large, where the loss is straight.
    """
    rest = np.flatnonzero(~is_scale)
    slope, curvature, part = gradient[rest], hessian[np.ix_(rest, rest)], penalty.restricted(rest)
    step = model_step(part, point[rest], slope, curvature)
    rough = part.rough_value(point[rest]) - part.rough_value(point[rest] + step)
    promised = rough - float(slope @ step) - 0.5 * float(step @ curvature @ step)
    falls = is_scale & (gradient > 0.0)
    as_good = np.where(falls, promised / np.where(falls, gradient, 1.0), 0.0)
    return np.maximum(point / FACTOR, np.minimum(point, as_good)), FACTOR * point
