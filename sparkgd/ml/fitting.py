"""Fits of one DataFrame, any number at a time: rows are packed once, and all models share the rounds."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pyspark.ml.base import Model
from pyspark.sql import DataFrame

from sparkgd.engine.base import Packing
from sparkgd.exceptions import SparkGDError
from sparkgd.ml.checkpoints import keeping_of, kept
from sparkgd.ml.columns import InputColumns
from sparkgd.ml.model_fits import ModelFit, Training, ending_of, progress_of
from sparkgd.ml.params.class_weights import class_weights_of
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.training_data import TrainingData, training_data
from sparkgd.training.history import Keeper
from sparkgd.training.loop import succeeded

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

ModelT = TypeVar("ModelT", bound=Model)


def fit_together(dataset: DataFrame, estimators: Sequence[LinearEstimator[ModelT]]) -> list[ModelT | SparkGDError]:
    """The models of estimators, or why there is none, in this order.

    Those that need the same of the data share one ingest and the rounds.
    """
    found: dict[int, ModelT | SparkGDError] = {}
    for members in grouped(dict(enumerate(estimators)), found):
        chosen = {number: estimators[number] for number in members}
        try:
            with packed(dataset, list(chosen.values())) as data, kept(list(chosen.values()), data) as keeper:
                found |= models_of(fits_of(chosen, data, found), keeper)
        except SparkGDError as error:  # of the data: nobody's model can be fitted
            found |= dict.fromkeys(members, error)
    for number, model in found.items():
        if not isinstance(model, SparkGDError):
            model._remember(dataset, estimators[number])  # type: ignore[attr-defined]
    return [found[number] for number in range(len(estimators))]


def grouped(estimators: Mapping[int, LinearEstimator[ModelT]], refused: dict[int, Any]) -> list[list[int]]:
    """Numbers of estimators that need the same of the data; what can be refused by now is added to ``refused``."""
    groups: dict[tuple[InputColumns, Packing, str], list[int]] = {}
    for number, estimator in estimators.items():
        try:
            estimator._check()
        except SparkGDError as error:
            refused[number] = error
        else:
            groups.setdefault(_needs(estimator), []).append(number)
    return list(groups.values())


def _needs(estimator: LinearEstimator[Any]) -> tuple[InputColumns, Packing, str]:
    """What decides how rows are packed."""
    packing = replace(estimator._packing(), wants_sample=True, moments_suffice=False)
    return estimator._columns(), packing, repr(value_or_none(estimator, "classWeight"))


@contextmanager
def packed(
    dataset: DataFrame,
    estimators: Sequence[LinearEstimator[Any]],
    fold: str | None = None,
    moments_suffice: bool = True,
) -> Iterator[TrainingData]:
    """The rows for estimators that need the same of them; ``fold`` names a column of fold numbers."""
    first = estimators[0]
    packings = [estimator._packing() for estimator in estimators]
    packing = replace(
        packings[0],
        wants_sample=any(each.wants_sample for each in packings),
        moments_suffice=moments_suffice and all(each.moments_suffice for each in packings),
    )
    weights, keeping = class_weights_of(value_or_none(first, "classWeight")), keeping_of(dataset, estimators)
    with training_data(dataset, replace(first._columns(), fold=fold), packing, type(first).__name__, weights) as data:
        yield replace(data, keeping=keeping)


def fits_of(
    estimators: Mapping[int, LinearEstimator[ModelT]], data: TrainingData, refused: dict[int, Any]
) -> dict[int, ModelFit[ModelT]]:
    """The fits of packed rows; those that the rows forbid are added to ``refused``."""
    fits = {}
    for number, estimator in estimators.items():
        try:
            fits[number] = estimator._fit_of(data)
        except SparkGDError as error:
            refused[number] = error
    return fits


def models_of(fits: Mapping[int, ModelFit[ModelT]], keeper: Keeper | None = None) -> dict[int, ModelT | SparkGDError]:
    """The models, or why there is none."""
    decided = {number: fit.decided() for number, fit in fits.items()}
    open_fits = {number: fit for number, fit in fits.items() if decided[number] is None}
    found: dict[int, ModelT | SparkGDError] = {
        number: fits[number].decided_model_of(model) for number, model in decided.items() if model is not None
    }
    if not open_fits:
        return found
    with progress_of(list(open_fits.values())) as line:
        training = Training(line, keeper)
        led = training.led(open_fits)
        outcomes = training.outcomes(led, {number: fit.plan() for number, fit in led.items()})
        if line is not None:
            line.finish(ending_of(list(outcomes.values())))
    for number, outcome in outcomes.items():
        try:
            found[number] = fits[number].model_of(succeeded(outcome))
        except SparkGDError as error:
            found[number] = error
    return found


def raised(found: ModelT | SparkGDError) -> ModelT:
    """The model; if there is none, why is raised."""
    if isinstance(found, SparkGDError):
        raise found
    return found


class ModelIterator(Generic[ModelT]):
    """Positions and models, as they are asked for; all are fitted together when the first is, whoever asks.

    Threads may share it, as those of ``pyspark.ml.tuning`` do.
    """

    def __init__(self, dataset: DataFrame, estimators: Sequence[LinearEstimator[ModelT]]) -> None:
        self._dataset, self._estimators = dataset, estimators
        self._lock = threading.Lock()
        self._models: list[ModelT | SparkGDError] | None = None
        self._next = 0

    def __iter__(self) -> ModelIterator[ModelT]:
        return self

    def __next__(self) -> tuple[int, ModelT]:
        with self._lock:
            position = self._next
            if position >= len(self._estimators):
                raise StopIteration
            if self._models is None:
                self._models = fit_together(self._dataset, self._estimators)
            self._next += 1
        return position, raised(self._models[position])
