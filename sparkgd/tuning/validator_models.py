"""What the validators return: pyspark's models, with a table of all trials."""

from __future__ import annotations

import os
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from pyspark.ml import tuning
from pyspark.ml.base import Model
from pyspark.ml.param import Param, Params
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession

from sparkgd.ml.persistence import check_loss_path
from sparkgd.tuning.results import plot_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

InstanceT = TypeVar("InstanceT", bound=Any)

RESULTS = "results"
"""Directory of the table in a saved model."""


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
        Mean and standard deviation over the folds, by map; nan where a model is missing.
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

    def write(self) -> _CrossValidatorModelWriter:
        """Writer in pyspark's layout, and the table beside it."""
        return _CrossValidatorModelWriter(self)

    @classmethod
    def read(cls) -> _CrossValidatorModelReader:
        """Reader of what `write` saved."""
        return _CrossValidatorModelReader(cls)


class TrainValidationSplitModel(HasResults, tuning.TrainValidationSplitModel):
    """The model of the best param map, and what its competition came to.

    Attributes
    ----------
    bestModel : Model
        Trained on all rows.
    validationMetrics : list of float
        By map; nan where the model is missing.
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

    def write(self) -> _TrainValidationSplitModelWriter:
        """Writer in pyspark's layout, and the table beside it."""
        return _TrainValidationSplitModelWriter(self)

    @classmethod
    def read(cls) -> _TrainValidationSplitModelReader:
        """Reader of what `write` saved."""
        return _TrainValidationSplitModelReader(cls)


def _copied(model: Model | None) -> Model | None:
    return None if model is None else model.copy()


def _write_results(results: pd.DataFrame, spark: SparkSession, path: str) -> None:
    table = results.to_json(orient="table", index=False, default_handler=str, double_precision=15)
    spark.createDataFrame([(table,)], "table string").coalesce(1).write.text(os.path.join(path, RESULTS))


def _read_results(spark: SparkSession, path: str) -> pd.DataFrame:
    table = spark.read.text(os.path.join(path, RESULTS), wholetext=True).first()
    assert table is not None
    return pd.read_json(StringIO(table[0]), orient="table", precise_float=True)


class _CrossValidatorModelWriter(tuning.CrossValidatorModelWriter):
    instance: CrossValidatorModel

    def saveImpl(self, path: str) -> None:
        super().saveImpl(path)
        _write_results(self.instance.results, self.sparkSession, path)


class _TrainValidationSplitModelWriter(tuning.TrainValidationSplitModelWriter):
    instance: TrainValidationSplitModel

    def saveImpl(self, path: str) -> None:
        super().saveImpl(path)
        _write_results(self.instance.results, self.sparkSession, path)


class _CrossValidatorModelReader(tuning.CrossValidatorModelReader):
    def load(self, path: str) -> CrossValidatorModel:
        spark = self.sparkSession
        metadata, parts = saved_parts(path, spark)
        models = None
        if metadata.get("persistSubModels"):
            numbers = range(len(parts["estimatorParamMaps"]))
            folds = range(metadata["paramMap"]["numFolds"])
            models = [[_model(spark, path, f"subModels/fold{fold}/{number}") for number in numbers] for fold in folds]
        best, results = _model(spark, path, "bestModel"), _read_results(spark, path)
        found = CrossValidatorModel(best, metadata["avgMetrics"], models, metadata.get("stdMetrics"), results)
        return with_saved_params(found, metadata, parts)


class _TrainValidationSplitModelReader(tuning.TrainValidationSplitModelReader):
    def load(self, path: str) -> TrainValidationSplitModel:
        spark = self.sparkSession
        metadata, parts = saved_parts(path, spark)
        models = None
        if metadata.get("persistSubModels"):
            numbers = range(len(parts["estimatorParamMaps"]))
            models = [_model(spark, path, f"subModels/{number}") for number in numbers]
        best, results = _model(spark, path, "bestModel"), _read_results(spark, path)
        found = TrainValidationSplitModel(best, metadata["validationMetrics"], models, results)
        return with_saved_params(found, metadata, parts)


def _model(spark: SparkSession, path: str, place: str) -> Model:
    model: Model = DefaultParamsReader.loadParamsInstance(os.path.join(path, place), spark)
    return model


def saved_parts(path: str, spark: SparkSession) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata of a saved validator or of its model, and its estimator, evaluator and param maps by param.

    pyspark takes the maps of a class of another package for written by Java, so it is given a name of its own.
    """
    metadata = DefaultParamsReader.loadMetadata(path, spark)
    renamed = {**metadata, "class": "pyspark.ml.tuning.CrossValidator"}
    _, estimator, evaluator, maps = tuning._ValidatorSharedReadWrite.load(path, spark, renamed)
    for param, value in (entry for params in maps for entry in params.items()):
        check_loss_path(param.name, value, path)
    return metadata, {"estimator": estimator, "evaluator": evaluator, "estimatorParamMaps": maps}


def with_saved_params(instance: InstanceT, metadata: dict[str, Any], parts: dict[str, Any]) -> InstanceT:
    """A validator or its model with the identity and the params that were saved."""
    instance._resetUid(metadata["uid"])
    DefaultParamsReader.getAndSetParams(instance, metadata, skipParams=["estimatorParamMaps"])
    for name, value in parts.items():
        instance.set(instance.getParam(name), value)
    return instance
