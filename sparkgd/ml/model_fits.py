"""Models under way: what is to be fitted to packed rows, and the running of it, in leads and waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pyspark.ml.base import Model

from sparkgd.exceptions import ConvergenceWarning, DivergedError, SparkGDError
from sparkgd.ml.constant_label import ConstantLabelSummary, warn_of_constant_label
from sparkgd.ml.display.grid import GridLine
from sparkgd.ml.display.progress import LiveLine, ProgressLine
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.summary import TrainingSummary
from sparkgd.ml.training_data import TrainingData
from sparkgd.ml.warn import warn
from sparkgd.solvers.base import Status
from sparkgd.training.auto import NEWTON_SIZE
from sparkgd.training.constant_label import DecidedModel, decided_model
from sparkgd.training.fit import Fitted
from sparkgd.training.history import Keeper, Outcome
from sparkgd.training.lead import Lead, lead_plans, refined_plan
from sparkgd.training.loop import Callback, Record, findings, train
from sparkgd.training.outline import TrainingSet
from sparkgd.training.plan import Plan, Stages
from sparkgd.training.settings import FitSettings

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

ModelT = TypeVar("ModelT", bound=Model)
FoundT = TypeVar("FoundT")

WAVE_NUMBERS = 1 << 25
"""Numbers that the models of one wave may need in a round, 256 MB; a larger grid runs in several waves."""

HISTORY = 32
"""Vectors as long as a coef that a solver without a Hessian keeps, or asks for in a round, at most."""


@dataclass(frozen=True)
class ModelFit(Generic[ModelT]):
    """One model to be fitted to packed rows.

    Attributes
    ----------
    estimator : LinearEstimator
    data : TrainingData
        As this model sees them: it may leave out a fold.
    settings : FitSettings
    """

    estimator: LinearEstimator[ModelT]
    data: TrainingData
    settings: FitSettings

    @property
    def name(self) -> str:
        """Of the estimator, for messages."""
        return self.settings.name

    def decided(self) -> DecidedModel | None:
        """The model, where a constant label decides it; whoever is concerned is warned."""
        statistics, columns = self.data.rows.statistics, self.data.columns
        decided = decided_model(self.settings, statistics, columns.offset is not None)
        warn_of_constant_label(self.name, columns.label, statistics, decided)
        return decided

    def stages(self) -> Stages[Fitted]:
        """What it takes to minimise the objective."""
        return self.estimator._stages(self.settings, self.data.rows)

    def plan(self) -> Plan[Fitted]:
        """The plan that fits the model."""
        iterations, seconds = self.settings.stopping.max_iterations, self.settings.max_seconds
        return Plan(self.stages, self.name, iterations, seconds)

    def alone(self) -> ModelFit[ModelT]:
        """The same fit, where no others share its rounds."""
        lead = self.settings.lead
        alone = None if lead is None else replace(lead, has_company=False)
        return replace(self, settings=replace(self.settings, lead=alone))

    def strength(self) -> float:
        """Of the penalty, to order fits by."""
        return float(value_or_none(self.estimator, "regParam") or 0.0)

    def numbers(self) -> int:
        """How many numbers a round may return of this model."""
        loss = self.settings.loss
        size = loss.num_outputs * (len(self.data.rows.statistics.mean) + 1)
        return size * min(size, HISTORY) if size > NEWTON_SIZE else size * size

    def model_of(self, outcome: Outcome) -> ModelT:
        """The model, with a warning if training ended early.

        Raises
        ------
        DivergedError
            If there is none.
        """
        ending, limit = outcome.ending, self.settings.stopping.max_iterations
        if ending.status is Status.DIVERGED:
            raise DivergedError(f"{self.name} diverged: {ending.reason}", outcome.coef)
        if ending.status in (Status.MAX_ITERATIONS, Status.MAX_SECONDS, Status.STALLED) and limit > 0:
            warn(f"{self.name} did not converge: {ending.reason}", ConvergenceWarning)
        if outcome.result.caveat:
            warn(f"{self.name}: {outcome.result.caveat}", ConvergenceWarning)
        return self.built(outcome)

    def built(self, outcome: Outcome) -> ModelT:
        """The model, however training ended."""
        layout, summary = outcome.result.problem.layout, TrainingSummary(outcome, self.data)
        weights, intercepts = layout.weights(outcome.coef), layout.intercepts(outcome.coef)
        return self.estimator._fitted(weights, intercepts, self.settings.loss, summary)

    def decided_model_of(self, decided: DecidedModel) -> ModelT:
        """The model of a constant label."""
        summary = ConstantLabelSummary(decided, self.data)
        return self.estimator._fitted(decided.weights, decided.intercepts, self.settings.loss, summary)


@contextmanager
def progress_of(fits: Sequence[ModelFit[Any]]) -> Iterator[LiveLine | None]:
    """A line about fits, where one of their estimators asks for it."""
    if not any(fit.estimator.getOrDefault("progress") for fit in fits):
        yield None
        return
    with ProgressLine(fits[0].name) if len(fits) == 1 else GridLine(fits[0].name, len(fits)) as line:
        yield line


class Training:
    """Models under way: one clock, one line of progress, however many steps it takes.

    Parameters
    ----------
    line : LiveLine or None
        Shows how far they are.
    keeper : Keeper or None
        Keeps them, and may have something to go on from.
    """

    def __init__(self, line: LiveLine | None = None, keeper: Keeper | None = None) -> None:
        self._line, self._keeper = line, keeper
        self._began = time.perf_counter() - (0.0 if keeper is None else keeper.seconds)

    def led(self, fits: Mapping[int, ModelFit[ModelT]]) -> dict[int, ModelFit[ModelT]]:
        """The same fits with leads, where several can share what these find out."""
        return dict(fits) if len(fits) == 1 else following(fits, self.leads(fits))

    def leads(self, fits: Mapping[int, ModelFit[Any]]) -> dict[int, Lead]:
        """Leads of the fits of all rows, by number; strong penalties come first, since they leave few weights."""
        numbers = sorted(fits, key=lambda number: -fits[number].strength())
        plans = lead_plans([fits[number].settings for number in numbers], fits[numbers[0]].data.rows)
        found = self._found(fits, {numbers[first]: plan for first, plan in plans.items()})
        return {numbers[position]: lead for leads in found.values() for position, lead in leads.items()}

    def refined(self, fits: Mapping[int, ModelFit[Any]]) -> dict[int, ModelFit[Any]]:
        """The fits with leads of all rows, for several to follow each."""
        numbers = [n for n, fit in fits.items() if fit.settings.lead is not None and not fit.settings.lead.is_of_all]
        plans = {number: refined_plan(fits[number].settings, fits[number].data.rows) for number in numbers}
        leads = self._found(fits, plans)
        return dict(fits) | following({number: fits[number] for number in leads}, leads)

    def _found(self, fits: Mapping[int, ModelFit[Any]], plans: Mapping[int, Plan[FoundT]]) -> dict[int, FoundT]:
        """What plans about some of the fits find out, by number; nothing of those that are refused."""
        found: dict[int, FoundT] = {}
        for wave in _waves({number: fits[number] for number in plans}):
            data, callbacks = fits[wave[0]].data.rows, self._callbacks(fits, wave)
            each = findings(data.rows, [plans[number] for number in wave], callbacks, self._began, self._keeper)
            found |= {n: one for n, one in zip(wave, each, strict=True) if not isinstance(one, SparkGDError)}
        return found

    def outcomes(
        self, fits: Mapping[int, ModelFit[Any]], plans: Mapping[int, Plan[Any]]
    ) -> dict[int, Outcome | SparkGDError]:
        """How plans for the fits go, in waves of as many as there is room for."""
        found: dict[int, Outcome | SparkGDError] = {}
        for wave in _waves(fits):
            rows = fits[wave[0]].data.rows.rows
            keep = all(fits[number].estimator.getOrDefault("keepOnInterrupt") for number in wave)
            chosen = [plans[number] for number in wave]
            outcomes = train(rows, chosen, self._callbacks(fits, wave), keep, self._began, self._keeper)
            found |= dict(zip(wave, outcomes, strict=True))
        return found

    def _callbacks(self, fits: Mapping[int, ModelFit[Any]], numbers: Sequence[int]) -> list[Callback]:
        """Those of the estimators, each for its own model's records, which have the number that it has here."""

        def own(record: Record) -> bool:
            numbered = replace(record, model=numbers[record.model])
            wishes = [callback(numbered) for callback in fits[numbered.model].estimator._callbacks]
            return any(wishes)

        callbacks: list[Callback] = [own] if any(fit.estimator._callbacks for fit in fits.values()) else []
        if self._line is None:
            return callbacks
        line = self._line
        return [*line.around(callbacks)[:-1], lambda record: line(replace(record, model=numbers[record.model]))]


def found_by(fit: ModelFit[Any], inquiry: Callable[[FitSettings, TrainingSet], Stages[FoundT]]) -> FoundT:
    """What an inquiry about a fit finds out, before that begins."""
    data = fit.data.rows
    found = findings(data.rows, [Plan(lambda: inquiry(fit.settings, data), fit.name)])[0]
    if isinstance(found, SparkGDError):
        raise found
    return found


def following(fits: Mapping[int, ModelFit[ModelT]], leads: Mapping[int, Lead]) -> dict[int, ModelFit[ModelT]]:
    """The fits, each with the lead of its number."""
    return {
        number: replace(fit, settings=replace(fit.settings, lead=leads.get(number))) for number, fit in fits.items()
    }


def _waves(fits: Mapping[int, ModelFit[Any]]) -> list[list[int]]:
    """The numbers of fits, in groups that need no more than `WAVE_NUMBERS`."""
    waves: list[list[int]] = []
    room = 0
    for number, fit in fits.items():
        if not waves or fit.numbers() > room:
            waves.append([])
            room = WAVE_NUMBERS
        waves[-1].append(number)
        room -= fit.numbers()
    return waves


def ending_of(outcomes: Sequence[Outcome | SparkGDError]) -> str:
    """How fits ended, for the line about them."""
    found = [each.ending for each in outcomes if not isinstance(each, SparkGDError)]
    if len(outcomes) == 1 and found:
        return f"{found[0].status.value}: {found[0].reason}"
    counts: dict[str, int] = {}
    for status in [each.status.value for each in found] + ["refused"] * (len(outcomes) - len(found)):
        counts[status] = counts.get(status, 0) + 1
    return ", ".join(f"{count} {status}" for status, count in counts.items())
