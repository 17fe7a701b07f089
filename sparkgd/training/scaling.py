"""The coordinates in which a solver works: standardised, preconditioned, or scaled for steps along single rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidParamError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import Rows
from sparkgd.penalties import Penalty
from sparkgd.problems.coordinates import Coordinates, Diagonal, Rotated
from sparkgd.problems.problem import Problem
from sparkgd.questions import GramQuestion
from sparkgd.solvers.settings import Scaling
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.settings import FitSettings
from sparkgd.training.stage import Inquiry

Array: TypeAlias = npt.NDArray[np.float64]

GRAM_COLUMNS = 1024
"""Columns up to which one round for the Gram matrix pays for itself."""

CONSTANT = 1e-13
"""A column whose deviation is below this share of its mean is constant."""


@dataclass(frozen=True)
class Scaled:
    """Coordinates, with upper bounds of the largest eigenvalue of the Hessian and of one typical row's Hessian."""

    coordinates: Coordinates
    largest_curvature: float
    row_curvature: float


def scaled(
    settings: FitSettings, scaling: Scaling, layout: CoefLayout, penalty: Penalty, statistics: Statistics, rows: Rows
) -> Stages[Scaled]:
    """Coordinates in which a solver with such needs of scaling sees a well-conditioned problem.

    They may take one question, for the Gram matrix of the ``rows``.
    """
    columns = layout.num_features
    if scaling is Scaling.STEP:
        return Scaled(_step_coordinates(settings, layout, penalty, statistics), 1.0, columns + 1.0)
    diagonal, curvature, l2 = _preconditioner(settings, layout, penalty, statistics)
    if scaling is Scaling.ROWS:
        diagonal = _for_single_rows(diagonal, curvature, l2, statistics)
    # The scale is made for the typical curvature; the bounds below must hold for the largest.
    excess = (settings.loss.curvature_bound or curvature) / curvature
    is_smooth = penalty.is_smooth and settings.intercept_penalty.is_smooth
    if columns > GRAM_COLUMNS or not _wants_gram(settings, scaling, is_smooth):
        return Scaled(diagonal, excess * (np.count_nonzero(diagonal.scale) + 1.0), excess * (columns + 1.0))
    problem = Problem(settings.loss, layout, penalty, diagonal, settings.held_out)
    gram = yield Inquiry("Gram matrix", Asked(problem, GramQuestion(diagonal.center, diagonal.scale), rows))
    model = curvature * gram / statistics.weight + np.diag(l2 * diagonal.scale**2)
    if scaling is Scaling.FULL and is_smooth:
        return Scaled(Rotated(diagonal, _factor(model)), excess, excess * (columns + 1.0))
    largest = float(linalg.eigvalsh(model, subset_by_index=[columns - 1, columns - 1])[0])
    return Scaled(diagonal, excess * max(largest, 1.0), excess * (columns + 1.0))


def _wants_gram(settings: FitSettings, scaling: Scaling, is_smooth: bool) -> bool:
    """Full scaling needs the Gram matrix; a gradient method with an automatic step needs its largest eigenvalue."""
    return (scaling is Scaling.FULL and is_smooth) or settings.solver.name in ("gd", "sgd")


def _factor(model: Array) -> Array:
    """Upper triangular R with ``R^T R`` = model, shifted just enough to be definite."""
    floor = max(float(np.max(np.diag(model), initial=0.0)), 1e-300) * 1e-10
    return np.asarray(linalg.cholesky(model + floor * np.eye(len(model)), check_finite=False))


def _step_coordinates(settings: FitSettings, layout: CoefLayout, penalty: Penalty, statistics: Statistics) -> Diagonal:
    """The space in which a user means a step size: standardised columns, or the raw ones."""
    scale = np.ones(layout.num_features)
    if settings.standardize:
        scale = _inverse(statistics.deviation(), constant_columns(statistics))
    center = statistics.mean if settings.standardize and settings.is_centred else np.zeros(layout.num_features)
    return Diagonal(layout, center, _allowed(penalty, scale, layout))


def _preconditioner(
    settings: FitSettings, layout: CoefLayout, penalty: Penalty, statistics: Statistics
) -> tuple[Diagonal, float, Array]:
    """``scale_j = 1 / sqrt(c sigma_j^2 + l2_j)``: the loss's curvature c and the penalty's both count."""
    curvature = settings.loss.typical_curvature(statistics.label)
    outputs, columns = layout.num_linear, layout.num_features
    l2 = penalty.smooth_curvature(outputs * columns).reshape(outputs, columns).mean(axis=0)
    moment = statistics.deviation(ddof=0) ** 2
    if not settings.is_centred:
        moment = moment + statistics.mean**2
    center = statistics.mean if settings.is_centred else np.zeros(columns)
    scale = _inverse(np.sqrt(curvature * moment + l2), constant_columns(statistics))
    return Diagonal(layout, center, _allowed(penalty, scale, layout), 1.0 / np.sqrt(curvature)), curvature, l2


def _for_single_rows(diagonal: Diagonal, curvature: float, l2: Array, statistics: Statistics) -> Diagonal:
    """Coordinates for steps along the gradients of single rows: ``scale_j = (h_j k_j)^(-1/4)``.

    h_j is the curvature of column j over all rows, whose inverse root is the scale for gradients of all rows; k_j that
    over the rows whose value is not zero. A column that few rows hold has ``k_j >> h_j``: scaled by h_j alone, these
    rows would be so long that only tiny steps do not overshoot, and every other column would wait for it. With all
    values 0 or 1 the scale is AdaGrad's, the fourth root. The intercept, which no row is without, has the geometric
    mean of its own inverse curvature and the rows' length.
    """
    moments = _moments(diagonal, statistics)
    support = np.clip(statistics.support / statistics.weight, np.finfo(float).tiny, 1.0)
    held = np.maximum((moments - (1.0 - support) * diagonal.center**2) / support, moments)
    ratio = (curvature * moments + l2) / np.maximum(curvature * held + l2, np.finfo(float).tiny)
    scale = diagonal.scale * ratio**0.25
    length = max(curvature * float(moments @ scale**2), 1.0)
    return replace(diagonal, scale=scale, intercept_scale=diagonal.intercept_scale * length**0.25)


def row_length(coordinates: Coordinates, statistics: Statistics) -> float:
    """Mean squared length of a row, the intercept's 1 included, in diagonal coordinates; nan in others."""
    if not isinstance(coordinates, Diagonal):
        return np.nan
    intercept = coordinates.intercept_scale**2 if coordinates.layout.fit_intercept else 0.0
    return float(_moments(coordinates, statistics) @ coordinates.scale**2 + intercept)


def ridge_of(settings: FitSettings, penalty: Penalty, layout: CoefLayout, statistics: Statistics) -> Diagonal | None:
    """Coordinates u in which the penalty is ``|u|^2 / 2``; None where it is not L2 alone, of every column."""
    l2 = penalty.smooth_curvature(layout.num_weights).reshape(layout.num_linear, layout.num_features)
    constant = constant_columns(statistics)
    is_smooth = penalty.is_smooth and settings.intercept_penalty.is_smooth
    if not (is_smooth and np.all(l2 == l2[0]) and np.all((l2[0] > 0.0) | constant)):
        return None
    center = statistics.mean if settings.is_centred else np.zeros(layout.num_features)
    return Diagonal(layout, center, _inverse(np.sqrt(l2[0]), constant))


def _moments(diagonal: Diagonal, statistics: Statistics) -> Array:
    """Mean square of each column about its centre."""
    return np.asarray(statistics.deviation(ddof=0) ** 2 + (statistics.mean - diagonal.center) ** 2)


def _allowed(penalty: Penalty, scale: Array, layout: CoefLayout) -> Array:
    """The scale of columns nearest to ``scale`` that the penalty can work with."""
    by_output = penalty.allowed_scale(np.tile(scale, layout.num_linear))
    return np.asarray(by_output.reshape(layout.num_linear, layout.num_features).mean(axis=0))


def check_constant(penalty: Penalty, layout: CoefLayout, statistics: Statistics) -> None:
    """A column without variation has the weight 0; bounds must let it."""
    zero = np.zeros(layout.num_weights)
    moved = penalty.project(zero).reshape(layout.num_linear, layout.num_features) != 0.0
    columns = np.flatnonzero(moved.any(axis=0) & constant_columns(statistics))
    if len(columns):
        raise InvalidParamError(
            f"the bounds of column {columns[0]} exclude 0, but the column is constant and its weight is fixed at 0"
        )


def constant_columns(statistics: Statistics) -> npt.NDArray[np.bool_]:
    """Columns (p,) without variation: their weight is fixed at zero, as MLlib does."""
    return statistics.deviation(ddof=0) <= CONSTANT * np.abs(statistics.mean)


def _inverse(values: Array, zero: npt.NDArray[np.bool_]) -> Array:
    return np.where(zero | (values <= 0.0), 0.0, 1.0 / np.where(values > 0.0, values, 1.0))
