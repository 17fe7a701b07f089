"""From settings and statistics to a task: penalty, solver, coordinates and starting point of one model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.kernels.hessian import GramKernel
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.penalties import NoPenalty, OnWeights, Penalty
from sparkgd.solvers.registry import SOLVERS, Scaling, SolverContext, SolverSettings, build_solver, working_solvers
from sparkgd.training.auto import NEWTON_SIZE, NEWTON_WORK, Choice, choose_solver
from sparkgd.training.coordinates import Coordinates, Diagonal, Rotated
from sparkgd.training.first_gradient import moving_coefs
from sparkgd.training.loop import Task
from sparkgd.training.objective import Objective
from sparkgd.training.pilot import Pilot
from sparkgd.training.rounds import Engine
from sparkgd.training.row_space import has_few_rows, solve_in_row_space
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]

GRAM_COLUMNS = 1024
"""Columns up to which one round for the Gram matrix pays for itself."""

CONSTANT = 1e-13
"""A column whose deviation is below this share of its mean is constant."""


@dataclass(frozen=True)
class TrainingSpec:
    """One model as the user asked for it, in NumPy's spelling.

    Attributes
    ----------
    loss : Loss
    penalty : callable
        The penalty of the flat weights, given the statistics and the number of outputs.
    fit_intercept, standardize : bool
        ``standardize`` says in which space a penalty and a user's step size are meant.
    solver : SolverSettings
    stopping : Stopping
    start : (ndarray (K, p), ndarray (K,) or None) or None
        Weights and intercepts to start from; intercepts that are not given are the null model's.
    held_out : int
        Fold to leave out, -1 for none.
    name : str
        Of the fit, for job descriptions and messages.
    intercept_penalty : Penalty
        Of the intercepts: bounds, else none.
    """

    loss: Loss
    penalty: Callable[[Statistics, int], Penalty]
    fit_intercept: bool
    standardize: bool
    solver: SolverSettings
    stopping: Stopping
    start: tuple[Array, Array | None] | None = None
    held_out: int = -1
    name: str = "fit"
    intercept_penalty: Penalty = NoPenalty()

    @property
    def is_centred(self) -> bool:
        """Whether coordinates may be centred: only a free intercept can absorb the shift."""
        return self.fit_intercept and self.intercept_penalty.is_smooth


@dataclass(frozen=True)
class Prepared:
    """A task, which solver it uses and why, and the seconds of the rounds that preparing it took."""

    task: Task
    choice: Choice
    seconds: list[float]


def prepare(
    spec: TrainingSpec, statistics: Statistics, rows: int, engine: Engine, pilot: Pilot | None = None
) -> Prepared:
    """Make a model's task.

    With ``solver="auto"`` it starts from the solution in the span of the rows if these are few, or where a pilot ends
    if rows for one are given.

    Raises
    ------
    IncompatibleError
        If the named solver does not take the loss or the penalty.
    InvalidParamError
        If the starting point has the wrong shape.
    """
    layout = CoefLayout(len(statistics.mean), spec.loss.num_outputs, spec.fit_intercept, spec.loss.num_scalars)
    penalty = spec.penalty(statistics, layout.num_linear)
    _check_constant(penalty, layout, statistics)
    choice = _choice(spec, OnWeights(penalty, layout.num_weights, spec.intercept_penalty), layout, rows)
    entry = SOLVERS[choice.name]
    scaling = entry.scaling(spec.solver)
    seconds: list[float] = []
    space = _space(spec, scaling, layout, penalty, statistics, engine, seconds)
    objective = Objective(spec.loss, layout, penalty, space.coordinates, spec.held_out, spec.intercept_penalty)
    context = SolverContext(
        settings=spec.solver,
        penalty=objective.solver_penalty,
        rows=rows,
        largest_curvature=space.largest_curvature,
        row_curvature=space.row_curvature,
        loss_curvature=spec.loss.typical_curvature(statistics.label),
        row_length=_row_length(space.coordinates, statistics),
        is_quadratic=spec.loss.is_quadratic,
        smoothing_width=spec.loss.typical_width(statistics.label) if spec.loss.can_be_smoothed else None,
        coefs=layout.size,
    )
    start = _start(spec, layout, statistics)
    task = Task(objective, build_solver(choice.name, context), spec.stopping, start, statistics.weight, spec.name)
    prepared = Prepared(task, choice, seconds)
    if spec.solver.name != "auto" or spec.start is not None:
        return prepared
    if choice.name == "owlqn" and spec.loss.has_curvature and layout.size > NEWTON_SIZE:  # else it sums all columns
        prepared = _with_few_weights(prepared, context, engine)
    ridge = _ridge(spec, penalty, layout, statistics)
    if ridge is not None and choice.name == "l-bfgs" and spec.loss.has_curvature and has_few_rows(layout, rows):
        return _from_row_space(prepared, ridge, context, engine)
    if pilot is not None and _wants_pilot(spec, prepared.choice, layout, pilot):
        return _from_pilot(prepared, pilot, context, engine)
    return prepared


def _with_few_weights(prepared: Prepared, context: SolverContext, engine: Engine) -> Prepared:
    """Newton's method in place of OWL-QN, which has the same coordinates, where few weights will not be zero."""
    began = time.perf_counter()
    moving = moving_coefs(prepared.task, engine)
    prepared = replace(prepared, seconds=[*prepared.seconds, time.perf_counter() - began])
    if moving > NEWTON_SIZE or context.rows * moving**2 > NEWTON_WORK:
        return prepared
    task = replace(prepared.task, solver=build_solver("newton", context))
    choice = Choice("newton", f"the first gradient moves {moving} coefs: only these need a Hessian")
    return replace(prepared, task=task, choice=choice)


def _from_row_space(prepared: Prepared, ridge: Diagonal, context: SolverContext, engine: Engine) -> Prepared:
    """The task started from the solution in the span of the rows."""
    began = time.perf_counter()
    start = solve_in_row_space(prepared.task, ridge, context.loss_curvature, context.rows, engine)
    seconds = [*prepared.seconds, time.perf_counter() - began]
    reason = f"{prepared.choice.reason}; it starts from the solution in the span of the {context.rows} rows"
    return Prepared(replace(prepared.task, start=start), replace(prepared.choice, reason=reason), seconds)


def _from_pilot(prepared: Prepared, pilot: Pilot, context: SolverContext, engine: Engine) -> Prepared:
    """The task started where the pilot ends, if that is any good."""
    began = time.perf_counter()
    task, choice = prepared.task, prepared.choice
    rough = replace(context, settings=replace(context.settings, tol=pilot.tol))
    stopping = Stopping(task.stopping.max_iterations, pilot.tol, task.stopping.max_seconds)
    sampled = replace(task, solver=build_solver(choice.name, rough), stopping=stopping)
    state = pilot.solve(sampled, engine)
    seconds = [*prepared.seconds, time.perf_counter() - began]
    result = "it starts from" if state is not None else "nothing was learned from"
    reason = f"{choice.reason}; {result} a pilot on {pilot.rows} rows"
    return Prepared(replace(task, resumed=state), replace(choice, reason=reason), seconds)


def _ridge(spec: TrainingSpec, penalty: Penalty, layout: CoefLayout, statistics: Statistics) -> Diagonal | None:
    """Coordinates u in which the penalty is ``|u|^2 / 2``; None where it is not L2 alone, of every column."""
    l2 = penalty.smooth_curvature(layout.num_weights).reshape(layout.num_linear, layout.num_features)
    constant = _constant(statistics)
    is_smooth = penalty.is_smooth and spec.intercept_penalty.is_smooth
    if not (is_smooth and np.all(l2 == l2[0]) and np.all((l2[0] > 0.0) | constant)):
        return None
    center = statistics.mean if spec.is_centred else np.zeros(layout.num_features)
    return Diagonal(layout, center, _inverse(np.sqrt(l2[0]), constant))


def _wants_pilot(spec: TrainingSpec, choice: Choice, layout: CoefLayout, pilot: Pilot) -> bool:
    """Not where the sample has fewer rows than there are coefs.

    Nor for a loss with kinks, whose optimum is decided by the rows close to one, of which a sample has others; nor for
    least squares by Newton's method, which takes two rounds from anywhere.
    """
    is_exact = spec.loss.is_quadratic and choice.name == "newton"
    return pilot.rows >= layout.size and spec.loss.is_smooth and not is_exact


def _choice(spec: TrainingSpec, penalty: Penalty, layout: CoefLayout, rows: int) -> Choice:
    named = Choice(spec.solver.name, "named by the user")
    choice = choose_solver(spec.loss, penalty, layout, rows) if spec.solver.name == "auto" else named
    refusal = SOLVERS[choice.name].refusal(spec.loss, penalty)
    if refusal is not None:
        works = ", ".join(repr(name) for name in working_solvers(spec.loss, penalty)) or "none"
        raise IncompatibleError(f"solver={choice.name!r} cannot be used: {refusal}. Solvers that work: {works}.")
    return choice


@dataclass(frozen=True)
class _Space:
    """Coordinates, with upper bounds of the largest eigenvalue of the Hessian and of one typical row's Hessian."""

    coordinates: Coordinates
    largest_curvature: float
    row_curvature: float


def _space(
    spec: TrainingSpec,
    scaling: Scaling,
    layout: CoefLayout,
    penalty: Penalty,
    statistics: Statistics,
    engine: Engine,
    seconds: list[float],
) -> _Space:
    columns = layout.num_features
    if scaling is Scaling.STEP:
        return _Space(_step_coordinates(spec, layout, penalty, statistics), 1.0, columns + 1.0)
    diagonal, curvature, l2 = _preconditioner(spec, layout, penalty, statistics)
    if scaling is Scaling.ROWS:
        diagonal = _for_single_rows(diagonal, curvature, l2, statistics)
    # The scale is made for the typical curvature; the bounds below must hold for the largest.
    excess = (spec.loss.curvature_bound or curvature) / curvature
    is_smooth = penalty.is_smooth and spec.intercept_penalty.is_smooth
    if columns > GRAM_COLUMNS or not _wants_gram(spec, scaling, is_smooth):
        return _Space(diagonal, excess * (np.count_nonzero(diagonal.scale) + 1.0), excess * (columns + 1.0))
    began = time.perf_counter()
    gram = engine.round([GramKernel(diagonal.center, diagonal.scale, spec.held_out)], f"{spec.name}: Gram matrix")
    seconds.append(time.perf_counter() - began)
    assert gram[0].hessian is not None
    model = curvature * gram[0].hessian / statistics.weight + np.diag(l2 * diagonal.scale**2)
    if scaling is Scaling.FULL and is_smooth:
        return _Space(Rotated(diagonal, _factor(model)), excess, excess * (columns + 1.0))
    largest = float(linalg.eigvalsh(model, subset_by_index=[columns - 1, columns - 1])[0])
    return _Space(diagonal, excess * max(largest, 1.0), excess * (columns + 1.0))


def _wants_gram(spec: TrainingSpec, scaling: Scaling, is_smooth: bool) -> bool:
    """Full scaling needs the Gram matrix; a gradient method with an automatic step needs its largest eigenvalue."""
    return (scaling is Scaling.FULL and is_smooth) or spec.solver.name in ("gd", "sgd")


def _factor(model: Array) -> Array:
    """Upper triangular R with ``R^T R`` = model, shifted just enough to be definite."""
    floor = max(float(np.max(np.diag(model), initial=0.0)), 1e-300) * 1e-10
    return np.asarray(linalg.cholesky(model + floor * np.eye(len(model)), check_finite=False))


def _step_coordinates(spec: TrainingSpec, layout: CoefLayout, penalty: Penalty, statistics: Statistics) -> Diagonal:
    """The space in which a user means a step size: standardised columns, or the raw ones."""
    scale = np.ones(layout.num_features)
    if spec.standardize:
        scale = _inverse(statistics.deviation(), _constant(statistics))
    center = statistics.mean if spec.standardize and spec.is_centred else np.zeros(layout.num_features)
    return Diagonal(layout, center, _allowed(penalty, scale, layout))


def _preconditioner(
    spec: TrainingSpec, layout: CoefLayout, penalty: Penalty, statistics: Statistics
) -> tuple[Diagonal, float, Array]:
    """``scale_j = 1 / sqrt(c sigma_j^2 + l2_j)``: the loss's curvature c and the penalty's both count."""
    curvature = spec.loss.typical_curvature(statistics.label)
    outputs, columns = layout.num_linear, layout.num_features
    l2 = penalty.smooth_curvature(outputs * columns).reshape(outputs, columns).mean(axis=0)
    moment = statistics.deviation(ddof=0) ** 2
    if not spec.is_centred:
        moment = moment + statistics.mean**2
    center = statistics.mean if spec.is_centred else np.zeros(columns)
    scale = _inverse(np.sqrt(curvature * moment + l2), _constant(statistics))
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


def _row_length(coordinates: Coordinates, statistics: Statistics) -> float:
    """Mean squared length of a row, the intercept's 1 included, in diagonal coordinates; nan in others."""
    if not isinstance(coordinates, Diagonal):
        return np.nan
    intercept = coordinates.intercept_scale**2 if coordinates.layout.fit_intercept else 0.0
    return float(_moments(coordinates, statistics) @ coordinates.scale**2 + intercept)


def _moments(diagonal: Diagonal, statistics: Statistics) -> Array:
    """Mean square of each column about its centre."""
    return np.asarray(statistics.deviation(ddof=0) ** 2 + (statistics.mean - diagonal.center) ** 2)


def _allowed(penalty: Penalty, scale: Array, layout: CoefLayout) -> Array:
    """The scale of columns nearest to ``scale`` that the penalty can work with."""
    by_output = penalty.allowed_scale(np.tile(scale, layout.num_linear))
    return np.asarray(by_output.reshape(layout.num_linear, layout.num_features).mean(axis=0))


def _check_constant(penalty: Penalty, layout: CoefLayout, statistics: Statistics) -> None:
    """A column without variation has the weight 0; bounds must let it."""
    zero = np.zeros(layout.num_weights)
    moved = penalty.project(zero).reshape(layout.num_linear, layout.num_features) != 0.0
    columns = np.flatnonzero(moved.any(axis=0) & _constant(statistics))
    if len(columns):
        raise InvalidParamError(
            f"the bounds of column {columns[0]} exclude 0, but the column is constant and its weight is fixed at 0"
        )


def _constant(statistics: Statistics) -> npt.NDArray[np.bool_]:
    """Columns without variation: their weight is fixed at zero, as MLlib does."""
    return statistics.deviation(ddof=0) <= CONSTANT * np.abs(statistics.mean)


def _inverse(values: Array, zero: npt.NDArray[np.bool_]) -> Array:
    return np.where(zero | (values <= 0.0), 0.0, 1.0 / np.where(values > 0.0, values, 1.0))


def _start(spec: TrainingSpec, layout: CoefLayout, statistics: Statistics) -> Array:
    shape = (layout.num_linear, layout.num_features)
    weights, intercepts = spec.start if spec.start is not None else (np.zeros(shape), None)
    if weights.shape != shape:
        raise InvalidParamError(
            f"initialCoefficients has shape {weights.shape}, but the data need {shape} (outputs x features)"
        )
    given = np.empty(0) if intercepts is None else intercepts
    for name, values in (("initialCoefficients", weights), ("initialIntercept", given)):
        if not np.isfinite(values).all():
            raise InvalidParamError(f"{name} holds values that are not finite; training cannot start there")
    null = spec.loss.null_intercept(statistics.label)
    return layout.pack(weights, np.concatenate([given, null[len(given) :]]))
