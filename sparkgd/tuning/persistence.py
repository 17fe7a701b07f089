"""Saving and loading of validators and of what they return: pyspark's layout, and the table of results beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import pandas as pd
from pyspark.ml.base import Model
from pyspark.ml.param import Param
from pyspark.ml.tuning import _ValidatorSharedReadWrite
from pyspark.ml.util import DefaultParamsReader, MLReader
from pyspark.sql import SparkSession

from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.persistence import Writer, check_loss_path

RESULTS = "results"
"""Directory of the table in a saved model."""

MISSING = "missingSubModels"
"""Where a saved model has the places of sub-models that diverged or were refused."""

PYTHON = {"class": "pyspark.ml.tuning.CrossValidator"}
"""pyspark takes what has a class of others for written by Scala, which encodes param maps otherwise."""

ModelAt: TypeAlias = Callable[[str], Model | None]
"""The sub-model at a place; None where it is missing."""


class ValidatorReader(MLReader[Any]):
    """Reader of a validator, which pyspark's would make one of its own."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """The validator saved at a path."""
        metadata, params = _read_shared(self.sparkSession, path)
        validator = self._kind(**params)
        validator._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(validator, metadata, skipParams=["estimatorParamMaps"])
        return validator


class ValidatorModelWriter(Writer):
    """Writer of what a validator returned.

    Parameters
    ----------
    instance : CrossValidatorModel or TrainValidationSplitModel
    metrics : mapping of str to list of float
        By their name in the metadata.
    sub_models : mapping of str to Model or None
        By their place; None without any.
    """

    def __init__(
        self, instance: Any, metrics: Mapping[str, Sequence[float]], sub_models: Mapping[str, Model | None] | None
    ) -> None:
        super().__init__()
        self.instance = instance
        self._metrics, self._sub_models = metrics, sub_models

    def saveImpl(self, path: str) -> None:
        """Write the directory; called by ``save`` once the path is free.

        Raises
        ------
        IncompatibleError
            If ``option("persistSubModels", "true")`` asks for sub-models that were not collected.
        """
        _ValidatorSharedReadWrite.validateParams(self.instance)
        persists = _ValidatorSharedReadWrite.getValidatorModelWriterPersistSubModelsParam(self)
        if persists and self._sub_models is None:
            raise IncompatibleError("persistSubModels needs sub-models; set collectSubModels before fit")
        models = self._sub_models or {} if persists else {}
        known = {place: model for place, model in models.items() if model is not None}
        told = {**self._metrics, "persistSubModels": persists, MISSING: [each for each in models if each not in known]}
        _ValidatorSharedReadWrite.saveImpl(path, self.instance, self.sparkSession, extraMetadata=told)
        for place, model in {"bestModel": self.instance.bestModel, **known}.items():
            model.write().session(self.sparkSession).save(os.path.join(path, place))
        table = json.dumps(self.instance.results.to_dict("split", index=False), default=str)
        rows = self.sparkSession.createDataFrame([(table,)], "table string")
        rows.coalesce(1).write.text(os.path.join(path, RESULTS))


class ValidatorModelReader(MLReader[Any]):
    """Reader of what a validator returned."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """The model saved at a path."""
        spark = self.sparkSession
        metadata, params = _read_shared(spark, path)

        def model_at(place: str) -> Model | None:
            if place in metadata[MISSING]:
                return None
            model: Model = DefaultParamsReader.loadParamsInstance(os.path.join(path, place), spark)
            return model

        found = self._kind._restored(metadata, model_at, len(params["estimatorParamMaps"]))
        found.results = _read_results(spark, path)
        found._resetUid(metadata["uid"])
        for name, value in params.items():
            found.set(found.getParam(name), value)
        DefaultParamsReader.getAndSetParams(found, metadata, skipParams=["estimatorParamMaps"])
        return found


def _read_shared(spark: SparkSession, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata, and the params that are kept beside it."""
    metadata = DefaultParamsReader.loadMetadata(path, spark)
    _, estimator, evaluator, maps = _ValidatorSharedReadWrite.load(path, spark, metadata | PYTHON)
    given: list[dict[Param[Any], Any]] = maps
    for param, value in (entry for params in given for entry in params.items()):
        check_loss_path(param.name, value, path)
    return metadata, {"estimator": estimator, "evaluator": evaluator, "estimatorParamMaps": given}


def _read_results(spark: SparkSession, path: str) -> pd.DataFrame:
    table = spark.read.text(os.path.join(path, RESULTS), wholetext=True).first()
    assert table is not None
    return pd.DataFrame(**json.loads(table[0]))
