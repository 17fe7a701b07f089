"""``CrossValidator`` and ``TrainValidationSplit`` of ``pyspark.ml.tuning``, whose models share ingest and rounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.base import Model
from pyspark.ml.evaluation import Evaluator
from pyspark.ml.tuning import CrossValidator as StockCrossValidator
from pyspark.ml.tuning import CrossValidatorWriter as StockCrossValidatorWriter
from pyspark.ml.tuning import TrainValidationSplit as StockTrainValidationSplit
from pyspark.ml.tuning import TrainValidationSplitWriter as StockTrainValidationSplitWriter
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.exceptions import ConvergenceWarning
from sparkgd.ml.display.grid import GridLine
from sparkgd.ml.errors import InvalidDataError, InvalidParamError
from sparkgd.ml.warn import warn
from sparkgd.solvers.base import Status
from sparkgd.tuning.folds import (
    MOST_FOLDS,
    fold_name,
    given_folds,
    random_folds,
    random_split,
    refusals_of_jobs,
    stratified_folds,
)  # fmt: skip
from sparkgd.tuning.lanes import Lane, lanes_of
from sparkgd.tuning.one_by_one import trials_one_by_one
from sparkgd.tuning.params import OWN, HasHalving, HasStratify
from sparkgd.tuning.persistence import ValidatorReader
from sparkgd.tuning.results import ParamMap, Trial, averages_of, chosen_map, label_of, metrics_by_map, table_of
from sparkgd.tuning.search import Folds, Search
from sparkgd.tuning.validator_models import CrossValidatorModel, TrainValidationSplitModel

UNFINISHED = (Status.MAX_ITERATIONS.value, Status.MAX_SECONDS.value, Status.STALLED.value)


class SharedValidator(HasStratify, HasHalving):
    """What both validators do: divide the rows, train and judge, choose, and train the best map on all rows."""

    def __init__(self, **params: Any) -> None:
        own = {name: params.pop(name, None) for name in OWN}
        super().__init__(**params)
        self._setDefault(stratify=False)
        self._set(**{name: value for name, value in own.items() if value is not None})

    def setParams(self, **params: Any) -> Any:
        """Set params by name, those of sparkgd among them; returns the object itself."""
        self._set(**{name: params.pop(name) for name in OWN if name in params})
        return super().setParams(**params)  # type: ignore[misc]

    def _fit(self, dataset: DataFrame) -> Any:
        estimator, maps = self.getOrDefault("estimator"), self.getOrDefault("estimatorParamMaps")
        self._check(maps)
        folds, lanes = self._folds(dataset), lanes_of(estimator, maps)
        if len(folds.numbers) > MOST_FOLDS:
            lanes = None
        self._check_halving(folds, lanes)
        with refusals_of_jobs():
            if lanes is None:
                best, trials = None, self._one_by_one(folds)
            else:
                best, trials = self._together(folds, lanes)
        chosen = self._chosen(trials, len(maps))
        _warn_of(trials, type(self).__name__)
        model = estimator.fit(dataset, maps[chosen]) if best is None else best
        found = self._model(model, trials, table_of(trials, maps))
        return self._copyValues(found)

    @abstractmethod
    def _folds(self, dataset: DataFrame) -> Folds:
        """The rows, divided."""

    @abstractmethod
    def _model(self, best: Model, trials: Sequence[Trial], results: pd.DataFrame) -> Any:
        """The result."""

    def _check(self, maps: Sequence[ParamMap]) -> None:
        """Refuse an empty grid, and a seed or ratio that cannot be.

        Raises
        ------
        InvalidParamError
        """
        if not maps:
            raise InvalidParamError(
                "estimatorParamMaps is empty; give it one map at least, such as {} for the defaults"
            )

    def _check_halving(self, folds: Folds, lanes: Sequence[Lane] | None) -> None:
        """Refuse to retire maps where the models of all folds are not trained together.

        Raises
        ------
        InvalidParamError
        """
        if self._halving() is None:
            return
        if lanes is None:
            reason = ("its estimator is not one of sparkgd's, or has classWeight='balanced' or a "
                      "validationIndicatorCol, or there are more than 254 folds")  # fmt: skip
        elif len(folds.numbers) > 1 and any(lane.learns for lane in lanes):
            reason = "stages before the last learn from each fold's rows; fit them before, or use TrainValidationSplit"
        else:
            return
        raise InvalidParamError(
            f"halvingFactor compares maps over folds that are trained together; this search goes fold by fold: {reason}"
        )

    def _stratified(self, dataset: DataFrame, name: str, shares: tuple[float, ...]) -> DataFrame:
        estimator = self.getOrDefault("estimator")
        last = estimator.getStages()[-1] if hasattr(estimator, "getStages") else estimator
        if not last.hasParam("labelCol"):
            raise InvalidParamError(f"stratify needs an estimator with a labelCol; {type(last).__name__} has none")
        return stratified_folds(dataset, name, last.getOrDefault("labelCol"), shares, self.getOrDefault("seed"))

    def _one_by_one(self, folds: Folds) -> list[Trial]:
        return trials_one_by_one(
            self.getOrDefault("estimator"),
            self.getOrDefault("estimatorParamMaps"),
            self.getOrDefault("evaluator"),
            folds,
            self.getOrDefault("parallelism"),
            self.getOrDefault("collectSubModels"),
        )

    def _together(self, folds: Folds, lanes: Sequence[Lane]) -> tuple[Model | None, list[Trial]]:
        """The best model, where it comes with the search, and all trials."""
        trials: list[Trial] = []
        best = None
        with self._line(folds, lanes) as line:
            for lane in lanes:
                if lane.learns:
                    for fold in folds.numbers:
                        head = lane.fitted(folds.df.filter(F.col(folds.column) != fold))
                        trials += self._search(folds, [fold], lane, head, line, wants_best=False)[1]
                else:
                    head = lane.fitted(folds.df)
                    best, found = self._search(folds, folds.numbers, lane, head, line, wants_best=len(lanes) == 1)
                    trials += found
            if line is not None:
                line.finish(self._report(trials))
        return best, trials

    def _search(
        self, folds: Folds, numbers: Sequence[int], lane: Lane, head: Any, line: GridLine | None, wants_best: bool
    ) -> tuple[Model | None, list[Trial]]:
        """A lane's maps over some folds, the features made by the head."""
        maps, evaluator = self.getOrDefault("estimatorParamMaps"), self.getOrDefault("evaluator")
        featured = head.transform(folds.df)
        judge = partial(_judged, evaluator, featured, folds.column, maps)
        search = Search(
            Folds(featured, folds.column, numbers, folds.are_given),
            lane.estimators,
            len(maps),
            evaluator,
            judge,
            self.getOrDefault("collectSubModels"),
            line,
            self._halving(),
        )
        best = search.run(wants_best)
        whole = partial(lane.whole, head)
        trials = [trial if trial.model is None else replace(trial, model=whole(trial.model)) for trial in search.trials]
        return (None if best is None else whole(best)), trials

    def _line(self, folds: Folds, lanes: Sequence[Lane]) -> Any:
        """A line of progress, where an estimator asks for it."""
        estimators = [estimator for lane in lanes for estimator in lane.estimators.values()]
        if not any(estimator.getOrDefault("progress") for estimator in estimators):
            return nullcontext()
        maps = self.getOrDefault("estimatorParamMaps")
        total = len(folds.numbers) * len(maps)
        return GridLine(type(self).__name__, total, lambda number: label_of(maps[number % len(maps)]))

    def _chosen(self, trials: Sequence[Trial], maps: int) -> int:
        """The map with the best average.

        Raises
        ------
        InvalidDataError
            If no map has one.
        """
        evaluator: Evaluator = self.getOrDefault("evaluator")
        chosen = chosen_map(trials, maps, evaluator.isLargerBetter())
        if chosen is None:
            reasons = [trial.error for trial in trials if trial.error is not None]
            if reasons:
                raise reasons[0]
            worst = next(trial for trial in trials if np.isnan(trial.metric))
            raise InvalidDataError(
                f"no param map has a metric in every fold; map {worst.map} in fold {worst.fold} was {worst.status}: "
                f"{worst.reason}"
            )
        return chosen

    def _report(self, trials: Sequence[Trial]) -> str:
        maps = self.getOrDefault("estimatorParamMaps")
        chosen = chosen_map(trials, len(maps), self.getOrDefault("evaluator").isLargerBetter())
        if chosen is None:
            return "no param map has a metric in every fold"
        average = averages_of(trials, len(maps))[chosen]
        return f"best of {len(maps)}: {label_of(maps[chosen])}, metric {average:.6g}"


def _judged(evaluator: Evaluator, df: DataFrame, column: str, maps: Sequence[ParamMap], *trial: Any) -> float:
    """The metric of a model by ``transform`` and ``evaluate``, as pyspark's own validators have it."""
    fold, number, model = trial
    held_out = df.filter(F.col(column) == fold).drop(column)
    return float(evaluator.evaluate(model.transform(held_out, dict(maps[number]))))


def _warn_of(trials: Sequence[Trial], name: str) -> None:
    """One warning for all models that did not get where they should."""
    counts: dict[str, int] = {}
    for trial in trials:
        if trial.status in UNFINISHED or np.isnan(trial.metric):
            counts[trial.status] = counts.get(trial.status, 0) + 1
    if counts:
        found = ", ".join(f"{count} {status}" for status, count in counts.items())
        warn(f"{name}: {sum(counts.values())} of {len(trials)} models did not converge ({found}); see the model's "
             "results", ConvergenceWarning)  # fmt: skip


class CrossValidator(SharedValidator, StockCrossValidator):
    """K-fold cross-validation at about the cost of one fit.

    A subclass of ``pyspark.ml.tuning.CrossValidator`` with its params, its folds and its choice. Of sparkgd's own
    estimators, alone or as the last stage of a ``Pipeline``, all folds and param maps are trained together: the rows
    are packed once, every round serves all models, and metrics come from the same packed rows. Stages before the last
    that learn something are fitted for each fold, as pyspark does. For other estimators, and evaluators that need
    scored rows, it does what pyspark's does; ``parallelism`` matters only there.

    With ``solver="auto"`` the models of folds are trained to 100 times the estimator's ``tol``, which moves metrics by
    less than 1e-5 of their value, unless ``collectSubModels`` keeps them; the best model is trained to ``tol``.

    A model that diverges or is refused does not end the search: its metric is nan, its map never wins, and
    ``results`` of the fitted model has the reason.

    Parameters
    ----------
    stratify : bool
        Whether every fold has the same share of each label; False by default.
    halvingFactor : float
        Retire losing maps early: of so many maps one goes on, for so many times the iterations. By default all maps are
        trained to the end. What is packed apart is compared apart; what cannot be trained together is refused.
    halvingMinIter : int
        Iterations of all maps before the first are retired. By default so few that those who are left have ``maxIter``.
        Others as in pyspark.
    **params
        As in ``pyspark.ml.tuning.CrossValidator``.
    """

    def _check(self, maps: Sequence[ParamMap]) -> None:
        super()._check(maps)
        if self.getNumFolds() < 2:
            raise InvalidParamError(f"numFolds={self.getNumFolds()} must be at least 2")
        if self.getStratify() and self.getFoldCol():
            raise InvalidParamError("stratify cannot be used with foldCol, which says already which rows are together")

    def _folds(self, dataset: DataFrame) -> Folds:
        name, count, given = fold_name(), self.getNumFolds(), self.getFoldCol()
        if given:
            return Folds(given_folds(dataset, name, given, count), name, range(count), are_given=True)
        if self.getStratify():
            return Folds(self._stratified(dataset, name, (1.0 / count,) * count), name, range(count))
        return Folds(random_folds(dataset, name, count, self.getSeed()), name, range(count))

    def write(self) -> StockCrossValidatorWriter:
        """Writer in pyspark's layout."""
        return StockCrossValidatorWriter(self)

    @classmethod
    def read(cls) -> Any:
        """Reader of what `write` saved."""
        return ValidatorReader(cls)

    def _model(self, best: Model, trials: Sequence[Trial], results: pd.DataFrame) -> CrossValidatorModel:
        maps = len(self.getEstimatorParamMaps())
        metrics = metrics_by_map(trials, maps)
        models = None
        if self.getCollectSubModels():
            by_place = {(trial.fold, trial.map): trial.model for trial in trials}
            models = [[by_place[fold, number] for number in range(maps)] for fold in range(self.getNumFolds())]
        averages, deviations = ([float(f(each)) for each in metrics] for f in (np.mean, np.std))
        return CrossValidatorModel(best, averages, models, deviations, results)


class TrainValidationSplit(SharedValidator, StockTrainValidationSplit):
    """One division into training and validation rows, all param maps at about the cost of one fit.

    A subclass of ``pyspark.ml.tuning.TrainValidationSplit``; see `CrossValidator` for what is done together.

    Parameters
    ----------
    stratify : bool
        Whether the validation rows have the same share of each label; False by default.
    halvingFactor : float
    halvingMinIter : int
        As in `CrossValidator`. Others as in pyspark.
    **params
        As in ``pyspark.ml.tuning.TrainValidationSplit``.
    """

    def _check(self, maps: Sequence[ParamMap]) -> None:
        super()._check(maps)
        if not 0.0 < self.getTrainRatio() < 1.0:
            raise InvalidParamError(f"trainRatio={self.getTrainRatio():g} must be between 0 and 1")

    def _folds(self, dataset: DataFrame) -> Folds:
        name, ratio = fold_name(), self.getTrainRatio()
        if self.getStratify():
            return Folds(self._stratified(dataset, name, (1.0 - ratio,)), name, [0])
        return Folds(random_split(dataset, name, ratio, self.getSeed()), name, [0])

    def write(self) -> StockTrainValidationSplitWriter:
        """Writer in pyspark's layout."""
        return StockTrainValidationSplitWriter(self)

    @classmethod
    def read(cls) -> Any:
        """Reader of what `write` saved."""
        return ValidatorReader(cls)

    def _model(self, best: Model, trials: Sequence[Trial], results: pd.DataFrame) -> TrainValidationSplitModel:
        ordered = sorted(trials, key=lambda trial: trial.map)
        models = [trial.model for trial in ordered] if self.getCollectSubModels() else None
        return TrainValidationSplitModel(best, [trial.metric for trial in ordered], models, results)
