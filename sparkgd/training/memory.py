"""What is left of rows that a model has learned from, once they are gone; models that learn from batch after batch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.layout import CoefLayout
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.past import TangentPast
from sparkgd.questions import Tangent, TangentQuestion
from sparkgd.solvers.base import Status
from sparkgd.training.auto import Choice
from sparkgd.training.fit import Fitted
from sparkgd.training.outline import TrainingSet
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.scaling import constant_columns
from sparkgd.training.settings import FitSettings
from sparkgd.training.stage import Inquiry

Array: TypeAlias = npt.NDArray[np.float64]

SOLVER = "newton"
"""What goes on from a memory: it has the Hessian of its rows in any case."""


ROWS_PER_COEF = 10
"""Rows of a first batch, for each coef, from which on their curvature at its optimum says enough of it elsewhere."""

CAVEAT = (
    "the first batch has {} rows for {} coefficients; what is remembered of so few holds near this model alone. Begin "
    "with {} rows a coefficient or more"
)


@dataclass(frozen=True, eq=False)
class Memory:
    """All batches so far.

    Attributes
    ----------
    past : TangentPast
        Their loss.
    statistics : Statistics
        Of their training rows.
    loss : str
        Name of the loss.
    batches : int
    """

    past: TangentPast
    statistics: Statistics
    loss: str
    batches: int

    def faded(self, factor: float) -> Memory:
        """The same if every row weighed ``factor`` times as much, more than zero."""
        return replace(self, past=self.past.times(factor), statistics=self.statistics.reweighted(factor))

    def going_on(self, settings: FitSettings) -> FitSettings:
        """The settings of a fit that has this memory."""
        past, layout = self.past, self.past.coordinates.layout
        start = layout.weights(past.coef), layout.intercepts(past.coef)
        return replace(settings, past=past, start=start, solver=replace(settings.solver, name=SOLVER))


@dataclass(frozen=True)
class Learned(Fitted):
    """A fit that can be gone on with.

    Attributes
    ----------
    memory : Memory or None
        None where it diverged.
    """

    memory: Memory | None = None


def learned(fitted: Fitted, settings: FitSettings, data: TrainingSet, before: Memory | None) -> Stages[Learned]:
    """The fit with a memory of its rows and of those ``before``, for one question more.

    ``data`` has the statistics of both.
    """
    found = Learned(**{field.name: getattr(fitted, field.name) for field in fields(fitted)})
    if before is not None:
        reason = f"this is batch {before.batches + 1}; the rows of before are known by their Hessian"
        found = replace(found, choice=Choice(SOLVER, reason))
    if fitted.solved.status is Status.DIVERGED:
        return found
    problem, coef = fitted.problem, fitted.solved.coef
    frame = _frame(problem.layout, data.statistics, settings) if before is None else before.past.coordinates
    question = TangentQuestion(coef, frame.center, frame.scale)
    seen: Tangent = yield Inquiry("curvature to remember", Asked(problem, question, data.rows))
    if before is None and not problem.loss.is_quadratic and data.statistics.rows < ROWS_PER_COEF * len(coef):
        found = replace(found, caveat=CAVEAT.format(data.statistics.rows, len(coef), ROWS_PER_COEF))
    past = TangentPast(frame, coef, seen.value, seen.gradient, seen.hessian, seen.weight)
    if before is not None:
        past = before.past.at(coef) + past
    batches = 1 if before is None else before.batches + 1
    return replace(found, memory=Memory(past, data.statistics, problem.loss.name, batches))


def _frame(layout: CoefLayout, statistics: Statistics, settings: FitSettings) -> Diagonal:
    """Coordinates for a first batch and all that follow; no weight is fixed, since constant columns may yet vary."""
    center = statistics.mean if settings.fit_intercept else np.zeros_like(statistics.mean)
    size = np.sqrt(statistics.deviation(ddof=0) ** 2 + (statistics.mean - center) ** 2)
    size = np.where(constant_columns(statistics), np.abs(statistics.mean), size)
    return Diagonal(layout, center, 1.0 / np.where(size > 0.0, size, 1.0))
