"""What a fit is about, before its stage over all rows begins: problem, coordinates, solver, starting point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidParamError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import Rows
from sparkgd.penalties import OnWeights, Penalty
from sparkgd.problems.problem import Problem
from sparkgd.reductions.row_span import RowSpan
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Solver
from sparkgd.solvers.registry import SOLVERS, build_solver
from sparkgd.solvers.settings import SolverContext
from sparkgd.training.auto import NAMED, Choice, check_solver, choose_solver
from sparkgd.training.feasible import feasible_start, is_feasible
from sparkgd.training.plan import Stages
from sparkgd.training.sampled_hessian import metric_of
from sparkgd.training.scaling import Scaled, check_constant, ridge_of, row_length, scaled
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]

ROWS_PER_COLUMN = 4
"""Rows of a sample, for each column, from which its Gram matrix has no direction that is far too short."""


@dataclass(frozen=True)
class TrainingSet:
    """What a plan may know of the data.

    Attributes
    ----------
    rows : Rows
        All of them, those of zero weight and of validation included.
    count : int
        How many these are.
    statistics : Statistics
        Of the training rows.
    sample : RowSample or None
        Some rows, where there are many more.
    """

    rows: Rows
    count: int
    statistics: Statistics
    sample: RowSample | None = None


@dataclass(frozen=True)
class Outline:
    """A fit, as far as it is known before its stage over all rows begins.

    Attributes
    ----------
    settings : FitSettings
    data : TrainingSet
    choice : Choice
        Of the solver.
    space : Scaled
    context : SolverContext
    final : Solving
        The stage over all rows.
    origin : str
        What that starts from, unless it is the null model or the user's own coef.
    """

    settings: FitSettings
    data: TrainingSet
    choice: Choice
    space: Scaled
    context: SolverContext
    final: Solving
    origin: str = ""

    @property
    def is_free(self) -> bool:
        """Whether solver and starting point are the library's to choose."""
        return self.settings.solver.name == "auto" and self.settings.start is None

    def preparing(self, name: str, tol: float, **changes: Any) -> Solving:
        """The stage over all rows with some ``changes``, trained to ``tol``, for others to start from."""
        stage = replace(self.final, name=name, is_final=False, **changes)
        context = replace(self.context, penalty=stage.problem.solver_penalty, tol=tol)
        stopping = Stopping(self.settings.stopping.max_iterations, tol)
        return replace(stage, solver=build_solver(self.choice.name, context), stopping=stopping)

    def with_sample(self, sample: RowSample) -> Solver[Any]:
        """The solver, where it starts with the Hessian of a sample.

        It serves a solver that cannot afford one of all rows, wherever that starts.
        """
        metric = metric_of(self.final.problem, sample.rows.blocks)
        return build_solver(self.choice.name, replace(self.context, metric=metric, sampled_rows=sample.rows.count))


def outlined(settings: FitSettings, data: TrainingSet) -> Stages[Outline]:
    """The fit from the null model, or from the user's own coef; in the coordinates of its lead, if it has one."""
    statistics, choice = data.statistics, choice_of(settings, data)
    settings, layout, penalty = _known(settings, statistics)
    check_constant(penalty, layout, statistics)
    start = _start(settings, layout, statistics)
    lead = settings.lead
    led = None if lead is None else lead.space_for(layout, statistics)
    if lead is not None and led is not None:
        space, choice = led, lead.choice
    else:
        settings = replace(settings, lead=None)
        scaling = SOLVERS[choice.name].scaling(settings.solver)
        rows = _for_products(settings, choice, data)
        space = yield from scaled(settings, scaling, layout, penalty, statistics, rows)
    problem = Problem(
        settings.loss,
        layout,
        penalty,
        space.coordinates,
        settings.held_out,
        settings.intercept_penalty,
        statistics.weight,
        settings.past,
    )
    context = _context(settings, data, problem, space)
    final = Solving(
        "all rows",
        problem,
        build_solver(choice.name, context),
        settings.stopping,
        start,
        data.rows,
        is_final=True,
        chooses_by_held_out=settings.chooses_by_held_out,
        shares=settings.solver.name == "auto",  # steps that a user names have the same bits in any company
    )
    if settings.start is None and settings.lead is None and not is_feasible(final, statistics):
        final = replace(final, start_coef=(yield from feasible_start(final, statistics)))
    return Outline(settings, data, choice, space, context, final)


def choice_of(settings: FitSettings, data: TrainingSet) -> Choice:
    """The solver, named by the user or by the library.

    Raises
    ------
    IncompatibleError
        If the named solver does not take the loss or the penalty.
    """
    settings, layout, on_weights = _known(settings, data.statistics)
    penalty = OnWeights(on_weights, layout.num_weights, settings.intercept_penalty)
    named = settings.solver.name != "auto"
    choice = Choice(settings.solver.name, NAMED) if named else choose_solver(settings.loss, penalty, layout, data.count)
    check_solver(choice.name, settings.loss, penalty)
    return choice


def _known(settings: FitSettings, statistics: Statistics) -> tuple[FitSettings, CoefLayout, Penalty]:
    """Loss, layout and penalty, now that the columns and labels are known."""
    settings = replace(settings, loss=settings.loss.for_labels(statistics.label))
    columns, loss = len(statistics.mean), settings.loss
    layout = CoefLayout(columns, loss.num_outputs, settings.fit_intercept, loss.num_scalars)
    return settings, layout, settings.penalty(statistics, layout.num_linear)


def span_of(outline: Outline) -> RowSpan | None:
    """The span of the rows, where a minimiser is to be looked for in it."""
    problem, data = outline.final.problem, outline.data
    ridge = ridge_of(outline.settings, problem.penalty, problem.layout, data.statistics)
    span = RowSpan(data.count, ridge, outline.context.loss_curvature)
    return span if outline.choice.name == "l-bfgs" and span.refusal(problem) is None else None


def _context(settings: FitSettings, data: TrainingSet, problem: Problem, space: Scaled) -> SolverContext:
    """What a solver is built from."""
    loss, label = settings.loss, data.statistics.label
    return SolverContext(
        settings=settings.solver,
        tol=settings.stopping.tol,
        max_iterations=settings.stopping.max_iterations,
        penalty=problem.solver_penalty,
        rows=data.count,
        largest_curvature=space.largest_curvature,
        row_curvature=space.row_curvature,
        loss_curvature=loss.typical_curvature(label),
        row_length=row_length(space.coordinates, data.statistics),
        is_quadratic=loss.is_quadratic,
        smoothing_width=loss.typical_width(label) if loss.can_be_smoothed else None,
        coefs=problem.layout.size,
        scales=problem.layout.num_scalars,
        can_be_curved=loss.can_be_curved,
    )


def _for_products(settings: FitSettings, choice: Choice, data: TrainingSet) -> Rows:
    """The sample, where its Gram matrix is as good a preconditioner as that of all rows, and spares a round."""
    sample = data.sample
    if sample is None or settings.solver.name != "auto" or choice.name != "l-bfgs":
        return data.rows
    return sample.rows if sample.rows.count >= ROWS_PER_COLUMN * len(data.statistics.mean) else data.rows


def _start(settings: FitSettings, layout: CoefLayout, statistics: Statistics) -> Array:
    shape = (layout.num_linear, layout.num_features)
    weights, intercepts = settings.start if settings.start is not None else (np.zeros(shape), None)
    if weights.shape != shape:
        raise InvalidParamError(
            f"initialCoefficients has shape {weights.shape}, but the data need {shape} (outputs x features)"
        )
    given = np.empty(0) if intercepts is None else intercepts
    check_finite("initialCoefficients", weights)
    check_finite("initialIntercept", given)
    null = settings.loss.null_intercept(statistics.label)
    return layout.pack(weights, np.concatenate([given, null[len(given) :]]))


def check_finite(name: str, values: npt.ArrayLike | None) -> None:
    """Refuse a part of a starting point that is not finite; None stands for one that is not given.

    Raises
    ------
    InvalidParamError
    """
    if values is not None and not np.isfinite(values).all():
        raise InvalidParamError(f"{name} holds values that are not finite; training cannot start there")
