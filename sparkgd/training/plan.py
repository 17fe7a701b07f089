"""From settings and statistics to a task: penalty, solver, coordinates and starting point of one model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.penalties import OnWeights, Penalty
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Objective
from sparkgd.solvers.registry import SOLVERS, SolverContext, build_solver, working_solvers
from sparkgd.training.auto import NEWTON_SIZE, NEWTON_WORK, Choice, choose_solver
from sparkgd.training.condense import solve_condensed
from sparkgd.training.feasible import feasible_start, is_feasible
from sparkgd.training.first_gradient import moving_coefs
from sparkgd.training.loop import Outcome, Task
from sparkgd.training.pilot import Pilot
from sparkgd.training.rounds import Engine, TimedEngine
from sparkgd.training.row_space import has_few_rows, solve_in_row_space
from sparkgd.training.sampled_hessian import metric_of
from sparkgd.training.scaling import check_constant, ridge_of, row_length, space_of
from sparkgd.training.settings import TrainingSpec
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]


ROWS_PER_COLUMN = 4
"""Rows of a sample, for each column, from which its Gram matrix has no direction that is far too short."""


@dataclass(frozen=True)
class Prepared:
    """A task, which solver it uses and why.

    Attributes
    ----------
    task : Task
    choice : Choice
    origin : str
        What it starts from, unless that is the null model or the user's own coefs.
    seconds : list of float
        Of the rounds that preparing it took.
    pilot_seconds : float
        Of the pilot's training, or of that on condensed rows, in this process.
    """

    task: Task
    choice: Choice
    origin: str = ""
    seconds: list[float] = field(default_factory=list)
    pilot_seconds: float = 0.0

    def reason(self, outcome: Outcome) -> str:
        """Why this solver, and where it started."""
        if not self.origin:
            return self.choice.reason
        is_dropped = self.task.resumed is not None and not outcome.is_resumed
        return f"{self.choice.reason}; {'nothing was learned' if is_dropped else 'it starts'} from {self.origin}"


def prepare(
    spec: TrainingSpec, statistics: Statistics, rows: int, engine: Engine, pilot: Pilot | None = None
) -> Prepared:
    """Make a model's task.

    With ``solver="auto"`` it starts from the solution in the span of the rows if these are few, or where a pilot ends
    if rows for one are given; for a loss with kinks, from the optimum of condensed rows.

    Raises
    ------
    IncompatibleError
        If the named solver does not take the loss or the penalty.
    InvalidParamError
        If the starting point has the wrong shape.
    """
    layout = CoefLayout(len(statistics.mean), spec.loss.num_outputs, spec.fit_intercept, spec.loss.num_scalars)
    penalty = spec.penalty(statistics, layout.num_linear)
    check_constant(penalty, layout, statistics)
    choice = _choice(spec, OnWeights(penalty, layout.num_weights, spec.intercept_penalty), layout, rows)
    timed = TimedEngine(engine)
    scaling = SOLVERS[choice.name].scaling(spec.solver)
    for_products = _for_products(spec, choice, layout, pilot) or timed
    space = space_of(spec, scaling, layout, penalty, statistics, for_products)
    objective = Objective(spec.loss, layout, penalty, space.coordinates, spec.held_out, spec.intercept_penalty)
    context = SolverContext(
        settings=spec.solver,
        penalty=objective.solver_penalty,
        rows=rows,
        largest_curvature=space.largest_curvature,
        row_curvature=space.row_curvature,
        loss_curvature=spec.loss.typical_curvature(statistics.label),
        row_length=row_length(space.coordinates, statistics),
        is_quadratic=spec.loss.is_quadratic,
        smoothing_width=spec.loss.typical_width(statistics.label) if spec.loss.can_be_smoothed else None,
        coefs=layout.size,
    )
    start = _start(spec, layout, statistics)
    task = Task(objective, build_solver(choice.name, context), spec.stopping, start, statistics.weight, spec.name)
    if spec.start is None and not is_feasible(task, statistics):
        task = replace(task, start=feasible_start(task, statistics, timed))
    prepared = Prepared(task, choice, seconds=timed.seconds)
    if spec.solver.name != "auto" or spec.start is not None:
        return prepared
    if choice.name == "owlqn" and spec.loss.has_curvature and layout.size > NEWTON_SIZE:  # else it sums all columns
        prepared = _with_few_weights(prepared, context, timed)
    ridge = ridge_of(spec, penalty, layout, statistics)
    if ridge is not None and choice.name == "l-bfgs" and spec.loss.has_curvature and has_few_rows(layout, rows):
        return _from_row_space(prepared, ridge, context, timed)
    if pilot is not None and _wants_condensing(spec, choice, layout):
        return _from_condensed(prepared, pilot, rows, timed)
    if pilot is not None and _wants_pilot(spec, prepared.choice, layout, pilot):
        return _from_pilot(prepared, pilot, context)
    return prepared


def _with_few_weights(prepared: Prepared, context: SolverContext, engine: Engine) -> Prepared:
    """Newton's method in place of OWL-QN, which has the same coordinates, where few weights will not be zero."""
    moving = moving_coefs(prepared.task, engine)
    if moving > NEWTON_SIZE or context.rows * moving**2 > NEWTON_WORK:
        return prepared
    task = replace(prepared.task, solver=build_solver("newton", context))
    choice = Choice("newton", f"the first gradient moves {moving} coefs: only these need a Hessian")
    return replace(prepared, task=task, choice=choice)


def _from_row_space(prepared: Prepared, ridge: Diagonal, context: SolverContext, engine: Engine) -> Prepared:
    """The task started from the solution in the span of the rows."""
    start = solve_in_row_space(prepared.task, ridge, context.loss_curvature, context.rows, engine)
    origin = f"the solution in the span of the {context.rows} rows"
    return replace(prepared, task=replace(prepared.task, start=start), origin=origin)


def _from_pilot(prepared: Prepared, pilot: Pilot, context: SolverContext) -> Prepared:
    """The task started where the pilot ends, if that turns out to be any good.

    The Hessian of the pilot's rows serves a solver that cannot afford one of all rows, wherever it starts.
    """
    task = prepared.task
    rough = replace(context, settings=replace(context.settings, tol=pilot.tol))
    stopping = Stopping(task.stopping.max_iterations, pilot.tol, task.stopping.max_seconds)
    sampled = replace(task, solver=build_solver(prepared.choice.name, rough), stopping=stopping)
    began = time.perf_counter()
    task = replace(task, resumed=pilot.solve(sampled))
    seconds = time.perf_counter() - began
    metric = metric_of(task.objective, pilot.sample.blocks)
    known = replace(context, metric=metric, sampled_rows=pilot.rows)
    task = replace(task, solver=build_solver(prepared.choice.name, known))
    return replace(prepared, task=task, origin=f"a pilot on {pilot.rows} rows", pilot_seconds=seconds)


def _from_condensed(prepared: Prepared, pilot: Pilot, rows: int, engine: Engine) -> Prepared:
    """The task started from the optimum over few rows that stand for all, if that was found."""
    timed, began = TimedEngine(engine), time.perf_counter()
    resumed = solve_condensed(prepared.task, pilot, rows, timed)
    seconds = time.perf_counter() - began - sum(timed.seconds)
    task, origin = replace(prepared.task, resumed=resumed), "" if resumed is None else "the optimum of condensed rows"
    return replace(prepared, task=task, origin=origin, pilot_seconds=seconds)


def _wants_condensing(spec: TrainingSpec, choice: Choice, layout: CoefLayout) -> bool:
    """Where rows lie on linear pieces of the loss, and are short enough for the driver to hold thousands of them."""
    return spec.loss.is_piecewise_linear and choice.name == "newton" and layout.size <= NEWTON_SIZE


def _wants_pilot(spec: TrainingSpec, choice: Choice, layout: CoefLayout, pilot: Pilot) -> bool:
    """Not where the sample has fewer rows than there are coefs.

    Nor for a loss with kinks, whose optimum is decided by the rows close to one, of which a sample has others; nor for
    least squares by Newton's method, which takes two rounds from anywhere.
    """
    is_exact = spec.loss.is_quadratic and choice.name == "newton"
    return pilot.rows >= layout.size and spec.loss.is_smooth and not is_exact


def _for_products(spec: TrainingSpec, choice: Choice, layout: CoefLayout, pilot: Pilot | None) -> Engine | None:
    """The sample, where its Gram matrix is as good a preconditioner as that of all rows, and spares a round."""
    if pilot is None or spec.solver.name != "auto" or choice.name != "l-bfgs":
        return None
    return pilot.sample if pilot.rows >= ROWS_PER_COLUMN * layout.num_features else None


def _choice(spec: TrainingSpec, penalty: Penalty, layout: CoefLayout, rows: int) -> Choice:
    named = Choice(spec.solver.name, "named by the user")
    choice = choose_solver(spec.loss, penalty, layout, rows) if spec.solver.name == "auto" else named
    refusal = SOLVERS[choice.name].refusal(spec.loss, penalty)
    if refusal is not None:
        works = ", ".join(repr(name) for name in working_solvers(spec.loss, penalty)) or "none"
        raise IncompatibleError(f"solver={choice.name!r} cannot be used: {refusal}. Solvers that work: {works}.")
    return choice


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
