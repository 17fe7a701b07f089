"""The plan of one model: from settings and statistics to the stages that train it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidParamError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import Rows
from sparkgd.penalties import OnWeights, Penalty
from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion
from sparkgd.reductions.condensed import Condensed
from sparkgd.reductions.row_span import RowSpan
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.pieces import free_entries, steepest_descent
from sparkgd.solvers.registry import SOLVERS, build_solver
from sparkgd.solvers.settings import SolverContext
from sparkgd.solvers.smoothing import Smoothing
from sparkgd.training.auto import NAMED, NEWTON_SIZE, NEWTON_WORK, Choice, check_solver, choose_solver
from sparkgd.training.cutting_planes import cutting_planes
from sparkgd.training.feasible import feasible_start, is_feasible
from sparkgd.training.pilot import pilot
from sparkgd.training.plan import Plan, Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.sampled_hessian import metric_of
from sparkgd.training.scaling import Scaled, check_constant, ridge_of, row_length, scaled
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.span_start import span_start
from sparkgd.training.stage import Inquiry, Solved

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
class Fitted:
    """What a fit came to.

    Attributes
    ----------
    problem : Problem
    solved : Solved
    choice : Choice
        Of the solver.
    origin : str
        What the stage over all rows started from, unless that is the null model or the user's own coef.
    is_dropped : bool
        Whether that turned out to be no good.
    caveat : str
        What is not as it was asked for, since the fit ended too early.
    """

    problem: Problem
    solved: Solved
    choice: Choice
    origin: str = ""
    is_dropped: bool = False
    caveat: str = ""

    @property
    def reason(self) -> str:
        """Why this solver, and where it started."""
        if not self.origin:
            return self.choice.reason
        return f"{self.choice.reason}; {'nothing was learned' if self.is_dropped else 'it starts'} from {self.origin}"


def plan_of(settings: FitSettings, data: TrainingSet) -> Plan[Fitted]:
    """The plan that fits one model."""
    return Plan(lambda: fit_stages(settings, data), settings.name, settings.stopping.max_iterations, settings.max_seconds)


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


def fit_stages(settings: FitSettings, data: TrainingSet) -> Stages[Fitted]:
    """The stages of one model.

    With ``solver="auto"`` the one over all rows starts from the solution in the span of the rows if these are few, or
    where a pilot ends if there is a sample; for a loss with kinks, from the optimum of condensed rows.

    Raises
    ------
    IncompatibleError
        If the named solver does not take the loss or the penalty.
    InvalidParamError
        If the starting point has the wrong shape.
    """
    outline = yield from outlined(settings, data)
    if outline.is_free:
        outline = yield from _prepared(outline)
    solved: Solved = yield outline.final
    is_dropped = outline.final.resumed is not None and not solved.is_resumed
    return Fitted(outline.final.problem, solved, outline.choice, outline.origin, is_dropped)


def outlined(settings: FitSettings, data: TrainingSet) -> Stages[Outline]:
    """The fit from the null model, or from the user's own coef."""
    statistics = data.statistics
    settings = replace(settings, loss=settings.loss.for_labels(statistics.label))
    layout = CoefLayout(
        len(statistics.mean), settings.loss.num_outputs, settings.fit_intercept, settings.loss.num_scalars
    )
    penalty = settings.penalty(statistics, layout.num_linear)
    check_constant(penalty, layout, statistics)
    start = _start(settings, layout, statistics)
    choice = _choice(settings, OnWeights(penalty, layout.num_weights, settings.intercept_penalty), layout, data.count)
    scaling = SOLVERS[choice.name].scaling(settings.solver)
    space = yield from scaled(settings, scaling, layout, penalty, statistics, _for_products(settings, choice, data))
    problem = Problem(
        settings.loss,
        layout,
        penalty,
        space.coordinates,
        settings.held_out,
        settings.intercept_penalty,
        statistics.weight,
    )
    context = _context(settings, data, problem, space)
    final = Solving(
        "all rows", problem, build_solver(choice.name, context), settings.stopping, start, data.rows, is_final=True
    )
    if settings.start is None and not is_feasible(final, statistics):
        final = replace(final, start_coef=(yield from feasible_start(final, statistics)))
    return Outline(settings, data, choice, space, context, final)


def _prepared(outline: Outline) -> Stages[Outline]:
    """The fit with the best start that the library can find, the solver for it, and what it is."""
    settings, data, context, choice = outline.settings, outline.data, outline.context, outline.choice
    final, sample = outline.final, data.sample
    problem = final.problem
    if choice.name == "owlqn" and problem.loss.has_curvature and problem.layout.size > NEWTON_SIZE:
        final, choice = yield from _with_few_weights(final, choice, context)  # else Newton would sum all columns
        outline = replace(outline, final=final, choice=choice)
    ridge = ridge_of(settings, problem.penalty, problem.layout, data.statistics)
    span = RowSpan(data.count, ridge, context.loss_curvature)
    if choice.name == "l-bfgs" and span.refusal(problem) is None:
        final = replace(final, start_coef=(yield from span_start(final, span)))
        return replace(outline, final=final, origin=f"the solution in the span of the {data.count} rows")
    if sample is None:
        return outline
    if isinstance(final.solver, Smoothing) and choice.name == "newton" and Condensed(0, 0).refusal(problem) is None:
        resumed = yield from cutting_planes(final, final.solver, sample, data.count)
        origin = "" if resumed is None else "the optimum of condensed rows"
        return replace(outline, final=replace(final, resumed=resumed), origin=origin)
    is_exact = problem.loss.is_quadratic and choice.name == "newton"  # it takes two rounds from anywhere
    if is_exact or sample.refusal(problem) is not None:
        return outline
    resumed = yield from pilot(final, sample, choice.name, context)
    # The Hessian of the sample serves a solver that cannot afford one of all rows, wherever it starts.
    known = replace(context, metric=metric_of(problem, sample.rows.blocks), sampled_rows=sample.rows.count)
    final = replace(final, solver=build_solver(choice.name, known), resumed=resumed)
    return replace(outline, final=final, origin=f"a pilot on {sample.rows.count} rows")


def _with_few_weights(final: Solving, choice: Choice, context: SolverContext) -> Stages[tuple[Solving, Choice]]:
    """Newton's method in place of OWL-QN, which has the same coordinates, where few weights will not be zero.

    How many coefs the steepest descent moves at the start is a bound that seldom fails: from the null model these are
    the columns that L1 does not screen out, and columns that share what they explain stand in for each other
    (Tibshirani and others, 2012: Strong rules for discarding predictors in lasso-type problems).
    """
    problem = final.problem
    point, penalty = problem.point(final.start_coef), problem.solver_penalty
    reply = yield Inquiry("first gradient", Asked(problem, GradientQuestion(point[None, :]), final.rows))
    free = free_entries(penalty, point, steepest_descent(penalty, point, reply.gradients[0]))
    moving = int(np.count_nonzero(free))
    if moving > NEWTON_SIZE or context.rows * moving**2 > NEWTON_WORK:
        return final, choice
    reason = f"the first gradient moves {moving} coefs: only these need a Hessian"
    return replace(final, solver=build_solver("newton", context)), Choice("newton", reason)


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


def _choice(settings: FitSettings, penalty: Penalty, layout: CoefLayout, count: int) -> Choice:
    named = settings.solver.name != "auto"
    choice = Choice(settings.solver.name, NAMED) if named else choose_solver(settings.loss, penalty, layout, count)
    check_solver(choice.name, settings.loss, penalty)
    return choice


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
