"""What the validators return: pyspark's models, with a table of all trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.ml import tuning
from pyspark.ml.base import Model
from pyspark.ml.param import Param, Params

from sparkgd.tuning.persistence import ModelAt, ValidatorModelReader, ValidatorModelWriter
from sparkgd.tuning.results import plot_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HasResults(Params):
    """A table of all trials, and a plot of it."""

    results: pd.DataFrame
    """One row for each fold and map: the params of the map, metric, how training ended, rounds and seconds.

    ``seconds`` are those of the rounds that a model took part in, which it shares with others.
    """

    def plot(self, param: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the mean metric over the folds against a param, with standard errors.

        Parameters
        ----------
        param : str, optional
            By default the numeric one with most values in the grid; the others tell lines apart.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'sparkgd[plot]'``.
        ValueError
            If the grid has no such param.
        """
        evaluator = self.getOrDefault("evaluator")
        name = evaluator.getOrDefault("metricName") if evaluator.hasParam("metricName") else "metric"
        return plot_results(self.results, name, evaluator.isLargerBetter(), param, ax)


class CrossValidatorModel(HasResults, tuning.CrossValidatorModel):
    """The model of the best param map, and what cross-validation found.

    Attributes
    ----------
    bestModel : Model
        Trained on all rows.
    avgMetrics, stdMetrics : list of float
        Mean and standard deviation over the folds, by map; nan where a model is missing. Of a map that was retired
        they are those of its models by then.
    subModels : list of list of Model, or None
        By fold and map, where ``collectSubModels`` asked for them; None in place of a model that is missing.
    results : pandas.DataFrame
        One row for each fold and map.
    """

    def __init__(
        self,
        bestModel: Model,
        avgMetrics: list[float] | None = None,
        subModels: list[list[Any]] | None = None,
        stdMetrics: list[float] | None = None,
        results: pd.DataFrame | None = None,
    ) -> None:
        super().__init__(bestModel, avgMetrics, subModels, stdMetrics)
        self.results = pd.DataFrame() if results is None else results

    def copy(self, extra: dict[Param[Any], Any] | None = None) -> CrossValidatorModel:
        """A copy with extra params, which its best model gets too."""
        models = None if self.subModels is None else [[_copied(each) for each in fold] for fold in self.subModels]
        best, averages, deviations = self.bestModel.copy(extra), list(self.avgMetrics), list(self.stdMetrics)
        copied = CrossValidatorModel(best, averages, models, deviations, self.results.copy())
        return self._copyValues(copied, extra=extra)

    def write(self) -> ValidatorModelWriter:
        """Writer in pyspark's layout, and the table beside it."""
        models = None
        if self.subModels is not None:
            models = {_place(fold, number): each for fold, several in enumerate(self.subModels)
                      for number, each in enumerate(several)}  # fmt: skip
        return ValidatorModelWriter(self, {"avgMetrics": self.avgMetrics, "stdMetrics": self.stdMetrics}, models)

    @classmethod
    def read(cls) -> Any:
        """Reader of what `write` saved."""
        return ValidatorModelReader(cls)

    @classmethod
    def _restored(cls, metadata: dict[str, Any], model_at: ModelAt, maps: int) -> CrossValidatorModel:
        """The model of what was saved."""
        models = None
        if metadata["persistSubModels"]:
            folds = range(metadata["paramMap"].get("numFolds", metadata["defaultParamMap"]["numFolds"]))
            models = [[model_at(_place(fold, number)) for number in range(maps)] for fold in folds]
        return cls(_best(model_at), metadata["avgMetrics"], models, metadata["stdMetrics"])


class TrainValidationSplitModel(HasResults, tuning.TrainValidationSplitModel):
    """The model of the best param map, and what its competition came to.

    Attributes
    ----------
    bestModel : Model
        Trained on all rows.
    validationMetrics : list of float
        By map; nan where the model is missing. Of a map that was retired it is that of its model by then.
    subModels : list of Model, or None
        By map, where ``collectSubModels`` asked for them; None in place of a model that is missing.
    results : pandas.DataFrame
        One row for each map.
    """

    def __init__(
        self,
        bestModel: Model,
        validationMetrics: list[float] | None = None,
        subModels: list[Any] | None = None,
        results: pd.DataFrame | None = None,
    ) -> None:
        super().__init__(bestModel, validationMetrics, subModels)
        self.results = pd.DataFrame() if results is None else results

    def copy(self, extra: dict[Param[Any], Any] | None = None) -> TrainValidationSplitModel:
        """A copy with extra params, which its best model gets too."""
        models = None if self.subModels is None else [_copied(each) for each in self.subModels]
        metrics, results = list(self.validationMetrics), self.results.copy()
        copied = TrainValidationSplitModel(self.bestModel.copy(extra), metrics, models, results)
        return self._copyValues(copied, extra=extra)

    def write(self) -> ValidatorModelWriter:
        """Writer in pyspark's layout, and the table beside it."""
        models = None
        if self.subModels is not None:
            models = {f"subModels/{number}": each for number, each in enumerate(self.subModels)}
        return ValidatorModelWriter(self, {"validationMetrics": self.validationMetrics}, models)

    @classmethod
    def read(cls) -> Any:
        """Reader of what `write` saved."""
        return ValidatorModelReader(cls)

    @classmethod
    def _restored(cls, metadata: dict[str, Any], model_at: ModelAt, maps: int) -> TrainValidationSplitModel:
        """The model of what was saved."""
        models = None
        if metadata["persistSubModels"]:
            models = [model_at(f"subModels/{number}") for number in range(maps)]
        return cls(_best(model_at), metadata["validationMetrics"], models)


def _copied(model: Model | None) -> Model | None:
    return None if model is None else model.copy()


def _place(fold: int, number: int) -> str:
    """Where a sub-model is saved."""
    return f"subModels/fold{fold}/{number}"


def _best(model_at: ModelAt) -> Model:
    best = model_at("bestModel")
    assert best is not None, "a search without a best model is not saved"
    return best
