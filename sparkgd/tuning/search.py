"""Folds x param maps of one estimator over the same packed rows: trained, judged, and the best one trained on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from pyspark.ml.base import Model
from pyspark.ml.evaluation import Evaluator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.exceptions import SparkGDError
from sparkgd.ml.checkpoints import kept, text_of
from sparkgd.ml.display.grid import GridLine
from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.fitting import fits_of, grouped, packed
from sparkgd.ml.model_fits import ModelFit, Training, following
from sparkgd.ml.training_data import TrainingData
from sparkgd.questions import AloneQuestion, Question
from sparkgd.solvers.base import Status
from sparkgd.training.constant_label import DecidedModel
from sparkgd.training.fit import Fitted
from sparkgd.training.history import Keeper, Kept, Outcome
from sparkgd.training.legs import pausing
from sparkgd.training.loop import succeeded
from sparkgd.training.plan import Plan, PlanState, Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.stage import Inquiry
from sparkgd.tuning.halving import Halving, ranked
from sparkgd.tuning.metrics import Metric, metric_of
from sparkgd.tuning.results import Trial, averages_of, chosen_map, refused

AnyEstimator: TypeAlias = LinearEstimator[Any]

TRIAL_TOL = 1000.0
"""Tolerance of a model that is only judged, in those of one that is kept. With the default it leaves less than 1e-6 of
the objective, as MLlib's does; metrics of held-out rows vary by far more from one division of the rows to the next.
"""

Judge: TypeAlias = Callable[[int, int, Model], float]
"""The metric of a model by fold and map, where the packed rows cannot tell it."""


@dataclass(frozen=True)
class Folds:
    """A DataFrame with fold numbers.

    Attributes
    ----------
    df : DataFrame
    column : str
        Of fold numbers.
    numbers : sequence of int
        The folds to leave out in turn.
    are_given : bool
        Whether the user numbered them.
    """

    df: DataFrame
    column: str
    numbers: Sequence[int]
    are_given: bool = False


@dataclass(frozen=True)
class Judged:
    """What the plan of a model that is judged finds.

    Attributes
    ----------
    fitted : Fitted
    metric : float or None
        None where the packed rows cannot tell it.
    paused : PlanState or None
        Where the fit goes on, if it is not over.
    """

    fitted: Fitted
    metric: float | None
    paused: PlanState | None = None


class Search:
    """Trains and judges folds x maps.

    Parameters
    ----------
    folds : Folds
    estimators : mapping of int to LinearEstimator
        One for each map, by the map's position.
    maps : int
        Number of all maps.
    evaluator : Evaluator
    judge : callable
        Called with fold, map and model where the evaluator's metric is not to be had from the packed rows.
    collect : bool
        Whether to keep the models of the folds.
    line : GridLine or None
        Shows how far it is.
    halving : Halving or None
        Which maps are retired before they are trained to the end; maps that are packed apart are compared apart.
    """

    def __init__(
        self,
        folds: Folds,
        estimators: Mapping[int, AnyEstimator],
        maps: int,
        evaluator: Evaluator,
        judge: Judge,
        collect: bool = False,
        line: GridLine | None = None,
        halving: Halving | None = None,
    ) -> None:
        self._folds, self._estimators, self._maps = folds, estimators, maps
        self._evaluator, self._judge = evaluator, judge
        self._collect, self._line, self._halving = collect, line, halving
        self.trials: list[Trial] = []

    def run(self, wants_best: bool) -> Model | None:
        """Fill ``trials``; the best model of all rows, if it is wanted and there is one.

        Maps that need other things of the data, such as other columns, are packed one group after the other.
        """
        best, chosen = None, None
        errors: dict[int, SparkGDError] = {}
        for members in grouped(self._estimators, errors):
            try:
                with self._packed(members) as data, self._kept(members, data) as keeper:
                    search = _GroupSearch(self, members, data, keeper)
                    search.run(errors)
                    leader = self._best() if wants_best else None
                    if leader is not None and leader in members and leader != chosen:
                        best, chosen = search.model_of_all_rows(leader), leader
                        best._remember(self._folds.df, self._estimators[leader])  # type: ignore[attr-defined]
            except SparkGDError as error:
                if len(members) == len(self._estimators):
                    raise  # the data are to blame, and nothing is lost
                errors |= dict.fromkeys(members, error)
        for number, reason in errors.items():
            known = {trial.fold for trial in self.trials if trial.map == number}
            self.trials += [refused(fold, number, reason) for fold in self._folds.numbers if fold not in known]
        return best

    def _packed(self, members: Sequence[int]) -> Any:
        metrics = [metric_of(self._evaluator, self._estimators[number]) for number in members]
        by_moments = all(metric is not None and not metric.needs_rows for metric in metrics)
        chosen = [self._estimators[number] for number in members]
        return packed(self._folds.df, chosen, fold=self._folds.column, moments_suffice=by_moments)

    def _kept(self, members: Sequence[int], data: TrainingData) -> Any:
        judge = {param.name: text_of(value) for param, value in self._evaluator.extractParamMap().items()}
        purpose = f"to be judged by {type(self._evaluator).__name__} {judge}, and kept: {self._collect}"
        purpose += "" if self._halving is None else f", {self._halving}"
        return kept([self._estimators[number] for number in members], data, purpose, has_siblings=True)

    def _best(self) -> int | None:
        return chosen_map(self.trials, self._maps, self._evaluator.isLargerBetter())


class _GroupSearch:
    """The part of a search whose maps need the same of the data."""

    def __init__(self, search: Search, members: Sequence[int], data: TrainingData, keeper: Keeper | None) -> None:
        self._search, self._data = search, data
        self._folds, self._maps = search._folds, search._maps
        self._estimators = {number: search._estimators[number] for number in members}
        self._training = Training(search._line, keeper)
        self._check_folds()

    def _check_folds(self) -> None:
        """Every fold needs rows, and rows to train on without it."""
        missing = [fold for fold in self._folds.numbers if fold not in self._data.folds]
        if missing:
            others = "give every fold some rows" if self._folds.are_given else "use fewer folds, or more rows"
            raise InvalidDataError(f"The validation data at fold {missing[0]} is empty; {others}")
        if len(self._data.folds) == 1:
            raise InvalidDataError(f"The training data at fold {self._folds.numbers[0]} is empty; give it other folds")

    def run(self, errors: dict[int, SparkGDError]) -> None:
        """Train and judge."""
        whole = fits_of(self._estimators, self._data, errors)
        if not whole:
            return
        self._whole = self._training.refined(following(whole, self._training.leads(whole)))
        fits, refusals = self._fold_fits()
        decided = {key: fit.decided() for key, fit in fits.items()}
        open_fits = {key: fit for key, fit in fits.items() if decided[key] is None}
        known = {key: self._decided_trial(key, fits[key], model) for key, model in decided.items() if model is not None}
        known |= {trial.fold * self._maps + trial.map: trial for trial in refusals}
        trials = known | self._raced(open_fits, known)
        self._search.trials += refusals
        self._search.trials += [trials[key] for key in fits]

    def _raced(self, fits: Mapping[int, ModelFit[Any]], known: Mapping[int, Trial]) -> dict[int, Trial]:
        """The trials of models that are trained together, from rung to rung where their maps are to be compared."""
        trials: dict[int, Trial] = {}
        contenders, begun = list(self._whole), dict[int, Kept]()
        for rung in [*self._rungs(), None]:
            plans = {key: self._plan(fit, rung, begun.get(key)) for key, fit in fits.items()}
            outcomes = self._training.outcomes(fits, plans)
            trials |= {key: self._trial(key, fit, outcomes[key]) for key, fit in fits.items()}
            begun = {key: paused for key in fits if (paused := _paused(outcomes[key])) is not None}
            if not begun:
                break
            contenders, places = self._compared(contenders, [*known.values(), *trials.values()])
            for key in begun:
                trial = trials[key]
                if trial.map not in contenders:
                    trials[key] = replace(trial, reason=f"{trial.reason}: {places[trial.map]}")
            fits = {key: fits[key] for key in begun if key % self._maps in contenders}
        return trials

    def _rungs(self) -> list[int]:
        halving = self._search._halving
        limits = [fit.settings.stopping.max_iterations for fit in self._whole.values()]
        return [] if halving is None else halving.rungs(len(limits), max(limits))

    def _compared(self, contenders: Sequence[int], trials: Sequence[Trial]) -> tuple[list[int], dict[int, str]]:
        """The maps that go on, or have been trained to the end and are as good; and the ranks of all in words."""
        halving = self._search._halving
        assert halving is not None, "nothing pauses"
        averages = averages_of(trials, self._maps)
        order = ranked({number: averages[number] for number in contenders}, self._search._evaluator.isLargerBetter())
        places = {number: f"rank {rank} of {len(order)}" for rank, number in enumerate(order, start=1)}
        return order[: halving.kept(len(order))], places

    def model_of_all_rows(self, number: int) -> Model:
        """The model of a map, trained on all rows, from where its lead ended."""
        fit = self._whole[number].alone()
        decided = fit.decided()
        if decided is not None:
            known: Model = fit.decided_model_of(decided)
            return known
        outcome = self._training.outcomes({number: fit}, {number: fit.plan()})[number]
        trained: Model = fit.model_of(succeeded(outcome))
        return trained

    def _fold_fits(self) -> tuple[dict[int, ModelFit[Any]], list[Trial]]:
        """The fits of all folds, by ``fold * maps + map``, and what the rows of a fold forbid."""
        fits: dict[int, ModelFit[Any]] = {}
        refusals: list[Trial] = []
        for fold in self._folds.numbers:
            for number, fit in self._whole.items():
                try:
                    data = self._data.without(fold)
                    trial = fit.estimator._fit_of(data, fit.settings.lead)
                    fits[fold * self._maps + number] = trial if self._search._collect else _roughly(trial)
                except SparkGDError as error:
                    refusals.append(refused(fold, number, error))
        return fits, refusals

    def _plan(self, fit: ModelFit[Any], rung: int | None, begun: Kept | None) -> Plan[Judged]:
        """The plan that fits a model, up to a rung if there is one, and judges it where the packed rows can tell."""
        metric = metric_of(self._search._evaluator, fit.estimator)
        iterations, seconds = fit.settings.stopping.max_iterations, fit.settings.max_seconds
        return Plan(lambda: _judged_stages(fit, metric, rung), fit.name, iterations, seconds, begun)

    def _decided_trial(self, key: int, fit: ModelFit[Any], decided: DecidedModel) -> Trial:
        """The trial of a fold without which the label is constant."""
        fold, number = divmod(key, self._maps)
        model = fit.decided_model_of(decided)
        metric = self._search._judge(fold, number, model)
        status, reason = model.summary.status, model.summary.statusReason
        return Trial(fold, number, metric, status, reason, "none", model=self._collected(fold, number, model))

    def _collected(self, fold: int, number: int, model: Model | None) -> Model | None:
        """The model of a fold, if it is to be kept: then its summary can ask the rows that it was trained on."""
        if model is None or not self._search._collect:
            return None
        df, column = self._folds.df, self._folds.column
        model._remember(df.filter(F.col(column) != fold).drop(column), self._estimators[number])  # type: ignore[attr-defined]
        return model

    def _trial(self, key: int, fit: ModelFit[Any], found: Outcome | SparkGDError) -> Trial:
        fold, number = divmod(key, self._maps)
        if isinstance(found, SparkGDError):
            return refused(fold, number, found)
        judged: Judged = found.result
        outcome, ending = replace(found, result=judged.fitted), found.ending
        metric, model = judged.metric, None
        if ending.status is Status.DIVERGED:
            metric = np.nan
        elif metric is None or self._search._collect:
            model = fit.built(outcome)
            metric = self._search._judge(fold, number, model) if metric is None else metric
        return Trial(
            fold,
            number,
            metric,
            ending.status.value,
            ending.reason,
            judged.fitted.choice.name,
            outcome.iterations,
            len(outcome.seconds),
            sum(outcome.seconds),
            self._collected(fold, number, model),
        )


def _roughly(fit: ModelFit[Any]) -> ModelFit[Any]:
    """The fit of a model that is judged and then forgotten; where the user named the solver, as it was asked for."""
    settings = fit.settings
    if settings.lead is None:
        return fit
    stopping = replace(settings.stopping, tol=TRIAL_TOL * settings.stopping.tol)
    return replace(fit, settings=replace(settings, stopping=stopping))


def _paused(found: Outcome | SparkGDError) -> Kept | None:
    """Where a fit goes on, if it is not over."""
    if isinstance(found, SparkGDError) or found.result.paused is None:
        return None
    return Kept(found.result.paused, found.rounds, ())


def _judged_stages(fit: ModelFit[Any], metric: Metric | None, rung: int | None) -> Stages[Judged]:
    """Fit a model, then ask for its metric, in one round with those of the others."""
    if rung is None:
        fitted, paused = (yield from fit.stages()), None
    else:
        fitted, paused = yield from pausing(fit.stages(), rung)
    if metric is None or fitted.solved.status is Status.DIVERGED:
        return Judged(fitted, None, paused)
    rows = fit.data.rows
    question: Question = metric.question(fitted.problem, fitted.solved.coef, rows)
    if fit.settings.solver.name != "auto":  # as of its steps, the bits of its metric are those in any company
        question = AloneQuestion(question)
    reply = yield Inquiry("held-out metric", Asked(fitted.problem, question, rows.rows), can_wait=True)
    return Judged(fitted, metric.value(reply), paused)
