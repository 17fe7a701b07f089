"""What the models of a grid share: one of each map, without folds, leads, and those that leave out a fold follow.

Leads are trained one after the other, each going on from where the last one ended, or side by side where rounds are
many. Those who follow begin in a lead's coordinates, with all that its solver has learned of the curvature; they end at
their own optimum, whatever they began with. Solvers that a user names are left alone: their paths are part of what was
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import SparkGDError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import Rows
from sparkgd.losses.base import Loss
from sparkgd.penalties import Penalty
from sparkgd.problems.problem import Problem
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import build_solver
from sparkgd.training.auto import Choice
from sparkgd.training.few_weights import with_few_weights
from sparkgd.training.outline import Outline, TrainingSet, choice_of, outlined, span_of
from sparkgd.training.plan import Plan, Stages
from sparkgd.training.scaling import Scaled, constant_columns
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Resumption
from sparkgd.training.stage import Solved
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]

LEAD_TOL = 1e-3
"""Tolerance of a lead: a fold that is left out moves the optimum by more."""

NEAR = 4.0
"""Ratio of the penalties' curvatures up to which a lead goes on with the Hessian of the one before it.

Of columns' scales, which go with the root of a curvature, it is the root. So it is of kinks: what these differ by is in
no Hessian, and a path under L1 takes longer with a ratio of four.
"""


@dataclass(frozen=True, eq=False)
class Lead:
    """Where a model of all rows ended, for those to begin that differ from it by a fold, or by some rows.

    Attributes
    ----------
    choice : Choice
        Of the solver.
    space : Scaled
        The coordinates of all.
    layout : CoefLayout
    constant : ndarray (p,) of bool
        Columns without variation, whose weight is fixed.
    solved : Solved
    penalty : Penalty
        Of a raw coef.
    summed_under : Penalty
        That of the lead whose Hessian this one has, corrected since.
    sampled_rows : int
        How many rows it is of.
    hessian_rows : int
        How many its Hessian was summed of near where it ended.
    is_of_all : bool
        Whether these are all rows.
    has_company : bool
        Whether many models follow in the same rounds.
    """

    choice: Choice
    space: Scaled
    layout: CoefLayout
    constant: npt.NDArray[np.bool_]
    solved: Solved
    penalty: Penalty
    summed_under: Penalty
    sampled_rows: int
    hessian_rows: int
    is_of_all: bool
    has_company: bool = True

    def space_for(self, layout: CoefLayout, statistics: Statistics) -> Scaled | None:
        """Its coordinates, for a model of some of its rows; None where these have other classes or columns.

        Where a fold is left out, columns may be constant that vary over all rows: their weights are held at zero.
        """
        constant = constant_columns(statistics)
        if layout != self.layout or np.any(self.constant & ~constant):
            return None
        return replace(self.space, coordinates=self.space.coordinates.holding(constant & ~self.constant))


def lead_plans(several: Sequence[FitSettings], data: TrainingSet) -> dict[int, Plan[dict[int, Lead]]]:
    """Plans that find leads by the position of the settings, each of them by that of its first.

    Newton's method takes long rounds, but few from a good start: its leads are one plan, in which each starts where the
    one before it ended. Others run side by side.
    Without a lead remain those whose solver or start the user chose, and losses whose kinks are smoothed: how far must
    be found out by each model for itself.
    """
    chained: list[int] = []
    apart: list[list[int]] = []
    for number, settings in enumerate(several):
        name = _solver_of_lead(settings, data)
        if name == "newton":
            chained.append(number)
        elif name is not None:
            apart.append([number])
    return {members[0]: _plan(several, members, data) for members in [chained, *apart] if members}


def _solver_of_lead(settings: FitSettings, data: TrainingSet) -> str | None:
    """The name of a lead's solver; None where there is no lead."""
    is_free = settings.solver.name == "auto" and settings.start is None and not settings.stopping.patience
    if not (is_free and settings.loss.is_smooth):
        return None
    try:
        return choice_of(settings, data).name
    except SparkGDError:
        return None  # the plan of the model itself will say why


def _plan(several: Sequence[FitSettings], members: Sequence[int], data: TrainingSet) -> Plan[dict[int, Lead]]:
    chosen = {number: several[number] for number in members}
    seconds = min(settings.max_seconds for settings in chosen.values())
    iterations = sum(settings.stopping.max_iterations for settings in chosen.values())
    return Plan(lambda: _leads(chosen, data), several[members[0]].name, iterations, seconds)


def _leads(chosen: Mapping[int, FitSettings], data: TrainingSet) -> Stages[dict[int, Lead]]:
    """The leads that were found, by number."""
    found: dict[int, Lead] = {}
    last: dict[tuple[Loss, CoefLayout], Lead] = {}
    for number, settings in chosen.items():
        try:
            lead = yield from _lead(settings, data, last)
        except SparkGDError:
            continue  # as above
        if lead is not None:
            found[number] = lead
    return found


def _lead(settings: FitSettings, data: TrainingSet, last: dict[tuple[Loss, CoefLayout], Lead]) -> Stages[Lead | None]:
    """One lead, which goes on from the ``last`` one of the same loss and layout."""
    outline = yield from outlined(settings, data)
    outline = yield from with_few_weights(outline)
    problem, sample = outline.final.problem, data.sample
    kind = problem.loss, problem.layout
    if span_of(outline) is not None:
        return None
    rows: Rows = data.rows
    count, is_of_all = data.count, True
    if sample is not None and sample.refusal(problem) is None:
        rows, count, is_of_all = sample.rows, sample.rows.count, False
    before, penalty = last.get(kind), problem.penalty_on_coef
    summed_under: Penalty = penalty
    if before is not None and _are_near(problem, before):
        outline = _going_on((yield from outlined(replace(settings, lead=before), data)), before)
        summed_under = before.summed_under
    start = outline.final.start_coef if before is None else before.solved.coef
    solved: Solved = yield outline.preparing("lead", LEAD_TOL, start_coef=start, rows=rows)
    if solved.status is Status.DIVERGED or not solved.objectives:
        return None
    last[kind] = Lead(
        choice=outline.choice,
        space=outline.space,
        layout=problem.layout,
        constant=constant_columns(data.statistics),
        solved=solved,
        penalty=penalty,
        summed_under=summed_under,
        sampled_rows=count,
        hessian_rows=count,
        is_of_all=is_of_all,
    )
    return last[kind]


def refined_plan(settings: FitSettings, data: TrainingSet) -> Plan[Lead]:
    """The plan that trains the lead of these settings, one of a sample, on all rows: for several to follow it.

    Run side by side with others it costs a few rounds, which each of those who follow spares.
    """
    stopping = settings.stopping
    return Plan(lambda: _refined(settings, data), settings.name, stopping.max_iterations, settings.max_seconds)


def _refined(settings: FitSettings, data: TrainingSet) -> Stages[Lead]:
    """The lead over all rows; as it was where it diverges there."""
    lead = settings.lead
    assert lead is not None, "there is nothing to refine"
    outline = following((yield from outlined(settings, data)), lead)
    stopping = Stopping(settings.stopping.max_iterations, LEAD_TOL)
    solved: Solved = yield replace(outline.final, name="lead", is_final=False, stopping=stopping)
    if solved.status is Status.DIVERGED or not solved.objectives:
        return lead
    return replace(lead, solved=solved, sampled_rows=data.count, hessian_rows=0, is_of_all=True)


def _are_near(problem: Problem, lead: Lead) -> bool:
    """Whether the lead's coordinates suit a problem as well, and its Hessian there is nearly that of the problem."""
    mine, others = problem.coordinates.factor, lead.space.coordinates.factor
    if mine is None or others is None:
        return False
    mine, others = _measures(mine, problem.penalty_on_coef), _measures(others, lead.summed_under)
    return bool(np.all(mine <= NEAR * others) and np.all(others <= NEAR * mine))


def _measures(factor: Array, penalty: Penalty) -> Array:
    """The scale of every coef, and how the penalty curves and kinks there, to be compared by `NEAR`."""
    _, slope = penalty.slopes(np.zeros(len(factor)))
    return np.concatenate([factor**2, penalty.smooth_curvature(len(factor)), slope**2])


def _going_on(outline: Outline, before: Lead) -> Outline:
    """The lead with all that the one before it has learned of the curvature; by what the penalties differ is known."""
    problem, size = outline.final.problem, before.layout.size
    more = problem.penalty_on_coef.smooth_curvature(size) - before.penalty.smooth_curvature(size)
    curvature = problem.coordinates.pull(problem.coordinates.pull(np.diag(more)).T)
    state = outline.final.solver.stiffened(before.solved.solver, curvature)
    return following(outline, replace(before, solved=replace(before.solved, solver=state)))


def following(outline: Outline, lead: Lead) -> Outline:
    """The fit from where its lead ended."""
    last, final = lead.solved.objectives[-1], outline.final
    # A sample may have been learned by heart. All rows cannot mislead: what a fold leaves out is a part of them.
    limit = np.inf if lead.is_of_all else last + final.solver.restart_excess * abs(last)
    context = replace(outline.context, sampled_rows=lead.hessian_rows, shares_gradients=lead.has_company)
    solver = build_solver(lead.choice.name, context)
    final = replace(final, solver=solver, resumed=Resumption(lead.solved.solver, limit))
    return replace(outline, context=context, final=final, origin=f"a lead on {lead.sampled_rows} rows")
