"""The plan of one model: from settings and statistics to the stages that train it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkgd.problems.problem import Problem
from sparkgd.reductions.condensed import Condensed
from sparkgd.solvers.smoothing import Smoothing
from sparkgd.training.auto import Choice
from sparkgd.training.cutting_planes import cutting_planes
from sparkgd.training.few_weights import with_few_weights
from sparkgd.training.lead import following
from sparkgd.training.outline import Outline, TrainingSet, outlined, span_of
from sparkgd.training.pilot import pilot
from sparkgd.training.plan import Plan, Stages
from sparkgd.training.screening import screened
from sparkgd.training.settings import FitSettings
from sparkgd.training.span_start import span_start
from sparkgd.training.stage import Solved


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
        What is not as it was asked for, for whoever is warned of it.
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
    return Plan(
        lambda: fit_stages(settings, data), settings.name, settings.stopping.max_iterations, settings.max_seconds
    )


def fit_stages(settings: FitSettings, data: TrainingSet) -> Stages[Fitted]:
    """The stages of one model.

    With ``solver="auto"`` the one over all rows starts from the solution in the span of the rows if these are few, or
    where a pilot ends if there is a sample; for a loss with kinks, from the optimum of condensed rows. One with a lead
    starts from that.

    Raises
    ------
    IncompatibleError
        If the named solver does not take the loss or the penalty.
    InvalidParamError
        If the starting point has the wrong shape.
    """
    outline = yield from outlined(settings, data)
    if outline.settings.lead is not None:
        outline = following(outline, outline.settings.lead)
    elif outline.is_free:
        outline = yield from _prepared(outline)
    solved = yield from screened(outline)
    is_dropped = outline.final.resumed is not None and not solved.is_resumed
    return Fitted(outline.final.problem, solved, outline.choice, outline.origin, is_dropped)


def _prepared(outline: Outline) -> Stages[Outline]:
    """The fit with the best start that the library can find, the solver for it, and what it is."""
    outline = yield from with_few_weights(outline)
    data, choice, final = outline.data, outline.choice, outline.final
    problem, sample, span = final.problem, data.sample, span_of(outline)
    if span is not None:
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
    resumed = yield from pilot(outline, sample)
    final = replace(final, solver=outline.with_sample(sample), resumed=resumed)
    return replace(outline, final=final, origin=f"a pilot on {sample.rows.count} rows")
