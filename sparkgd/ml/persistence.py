"""Saving models as ``pyspark.ml`` does: ``metadata`` (one JSON line) and ``data`` (one row of parquet)."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from pyspark.errors import PySparkException
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from sparkgd.checkpoints.codec import UNINTELLIGIBLE
from sparkgd.engine.files import overwritten
from sparkgd.exceptions import ModelFormatError, SparkGDError
from sparkgd.losses.custom import check_imported
from sparkgd.ml.columns import with_columns
from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.memory import recall_memory, save_memory, told
from sparkgd.ml.params.shared import SCORING_PARAMS, ScoringParams
from sparkgd.ml.saved_summary import recall, saved
from sparkgd.ml.summary import HasSummary
from sparkgd.training.memory import Memory

FORMAT_VERSION = 1
"""Of saved models."""

SCORED_BY = {*SCORING_PARAMS, "family", "link", "variancePower", "linkPower"} - {"handleInvalid"}
"""Params of models that are saved where MLlib saves its own."""

SUMMARY = "summary"
"""Where it has its summary."""

PERSIST_SUMMARY = ("true", "false", "all")
"""Values of the writer's option ``persistSummary``."""

FIT_PARAMS, FIT_DEFAULTS = "fitParamMap", "fitDefaultParamMap"
"""Where a saved model has the other params, which tell how it was fitted."""


class Saved(Protocol):
    """A model that can be written as a row and built from one."""

    uid: str
    _weights: npt.NDArray[np.float64]
    _intercepts: npt.NDArray[np.float64]
    _memory: Memory | None

    def _to_row(self) -> dict[str, Any]:
        """The model's data by column name."""
        ...

    @classmethod
    def _from_row(cls, row: Row) -> Any:
        """The model of a row."""
        ...


def check_loss_path(name: str, value: Any, path: str) -> None:
    """Refuse to load a param that names a loss of the user's own in a module that the program has not imported.

    Raises
    ------
    ModelFormatError
    """
    if name == "loss" and isinstance(value, str) and ":" in value:
        check_imported(value, path)


def check_named_loss(instance: Any, path: str) -> None:
    """The same for what has just been loaded with its params."""
    if instance.hasParam("loss"):
        check_loss_path("loss", instance.getOrDefault("loss"), path)


@contextmanager
def understood(path: str) -> Iterator[None]:
    """Tell of what cannot be understood, because nothing here has written it, that it is so.

    What pyspark itself says clearly, such as that there is no such path, is passed on.

    Raises
    ------
    ModelFormatError
    """
    try:
        yield
    except SparkGDError:
        raise
    except Exception as error:
        thrown = getattr(error, "java_exception", None)  # of py4j's error, which not every client has
        if isinstance(error, PySparkException) or not (thrown or isinstance(error, (*UNINTELLIGIBLE, AssertionError))):
            raise
        reason = repr(error) if thrown is None else thrown.getMessage()
        raise ModelFormatError(f"{path} is damaged, or nothing that sparkgd has saved: {reason}") from error


class EstimatorReader(DefaultParamsReader[Any]):
    """Reads an estimator's params."""

    def load(self, path: str) -> Any:
        """The estimator saved at ``path``.

        Raises
        ------
        ModelFormatError
            If it is damaged, or names a loss in a module that the program has not imported.
        """
        with understood(path):
            estimator = super().load(path)
        check_named_loss(estimator, path)
        return estimator


class Writer(MLWriter):
    """A writer that overwrites wherever Spark is."""

    def _handleOverwrite(self, path: str) -> None:
        if not overwritten(self.sparkSession, path):
            super()._handleOverwrite(path)


class EstimatorWriter(Writer):
    """Writes an estimator's params."""

    def __init__(self, estimator: ScoringParams) -> None:
        super().__init__()
        self._estimator = estimator

    def saveImpl(self, path: str) -> None:
        """Write the directory; called by ``save`` once the path is free."""
        save_metadata(self._estimator, path, self.sparkSession)


def save_metadata(instance: ScoringParams, path: str, spark: SparkSession) -> None:
    """Write class and params."""
    DefaultParamsWriter.saveMetadata(instance, path, spark, paramMap=instance._saved_params())


def save_model_metadata(model: ScoringParams, path: str, spark: SparkSession, more: dict[str, Any]) -> None:
    """Write class and params: those by which it scores where MLlib has them, for its readers refuse others."""
    saved, defaults = model._saved_params(), {param.name: value for param, value in model._defaultParamMap.items()}
    told = copy.copy(model)
    told._defaultParamMap = {param: value for param, value in told._defaultParamMap.items() if param.name in SCORED_BY}
    extra = {
        **more,
        "formatVersion": FORMAT_VERSION,
        FIT_PARAMS: {name: value for name, value in saved.items() if name not in SCORED_BY},
        FIT_DEFAULTS: {name: value for name, value in defaults.items() if name not in SCORED_BY},
    }
    if model._feature_names is not None:
        extra["featureNames"] = model._feature_names
    scoring = {name: value for name, value in saved.items() if name in SCORED_BY}
    DefaultParamsWriter.saveMetadata(told, path, spark, extra, scoring)


class ModelWriter(Writer):
    """Writes a model's params, data and summary.

    ``option("persistSummary", ...)`` is ``true``, by default: the summary is saved with what it has been asked before;
    ``all``: it is asked every number that it can tell first, standard errors included, for which its rows are read; or
    ``false``: it is left out.
    """

    def __init__(self, model: Saved) -> None:
        super().__init__()
        self._model = model
        self._told: dict[str, Any] = {}

    def save(self, path: str) -> None:
        """Write the directory.

        Raises
        ------
        InvalidParamError
            If ``persistSummary`` has another value.
        """
        self._told = self._summary()  # before what is there is overwritten: rows may be asked
        super().save(path)

    def saveImpl(self, path: str) -> None:
        """Write the directory; called by ``save`` once the path is free."""
        more = {**self._told, **told(self._model)}
        save_model_metadata(cast(ScoringParams, self._model), path, self.sparkSession, more)
        frame = self.sparkSession.createDataFrame([Row(**self._model._to_row())])
        # Python's integers become bigint, which MLlib's reader of the same row refuses.
        counts = {name: F.col(name).cast("int") for name, kind in frame.dtypes if kind == "bigint"}
        frame = with_columns(frame, counts)
        frame.coalesce(1).write.parquet(os.path.join(path, "data"))
        save_memory(self._model, path, self.sparkSession)

    def _summary(self) -> dict[str, Any]:
        """The summary's part of the metadata."""
        wish = self.optionMap.get("persistsummary", "true").lower()
        if wish not in PERSIST_SUMMARY:
            raise InvalidParamError(f"persistSummary={wish!r} is not allowed; give one of {', '.join(PERSIST_SUMMARY)}")
        model = cast(HasSummary, self._model)
        if wish == "false" or not model.hasSummary:
            return {}
        if wish == "all":
            model.summary._ask_all()
        return {SUMMARY: saved(model.summary)}


class ModelReader(MLReader[Any]):
    """Reads a model's params and data."""

    def __init__(self, cls: type[Saved]) -> None:
        super().__init__()
        self._cls = cls

    def load(self, path: str) -> Any:
        """The model saved at ``path``.

        Raises
        ------
        ModelFormatError
            If the directory holds another class, or data of another form, or names a loss in a module that the program
            has not imported.
        """
        with understood(path):
            return self._load(path)

    def _load(self, path: str) -> Any:
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        expected = f"{self._cls.__module__}.{self._cls.__name__}"
        if metadata["class"] != expected:
            raise ModelFormatError(f"{path} holds a {metadata['class']}, not a {expected}; load it with its own class")
        row = self.sparkSession.read.parquet(os.path.join(path, "data")).first()
        try:
            model = self._cls._from_row(cast(Row, row))
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelFormatError(f"{path}/data is not that of a {expected}: {error}") from error
        check_coefficients(model, path)
        model._resetUid(str(metadata["uid"]))
        DefaultParamsReader.getAndSetParams(model, metadata)
        model._set(**metadata.get(FIT_PARAMS, {}))
        model._setDefault(**metadata.get(FIT_DEFAULTS, {}))
        check_named_loss(model, path)
        model._feature_names = metadata.get("featureNames")
        if SUMMARY in metadata:
            recall(model, metadata[SUMMARY])
        recall_memory(model, path, metadata, self.sparkSession)
        return model


def check_coefficients(model: Saved, path: str) -> None:
    """Refuse coefficients that no fit returns: of a constant label the intercept, and nothing else, may be infinite.

    Raises
    ------
    ModelFormatError
    """
    weights, intercepts = model._weights, model._intercepts
    if weights.ndim != 2 or intercepts.shape != weights.shape[:1]:
        raise ModelFormatError(
            f"{path}/data has coefficients of shape {weights.shape} and {intercepts.size} intercepts"
        )
    if not np.isfinite(weights).all() or np.isnan(intercepts).any():
        raise ModelFormatError(f"{path}/data has coefficients that are not finite")


class ModelPersistence(MLWritable, MLReadable[Any]):
    """``save``, ``write``, ``load`` and ``read`` of a model, alone and inside a ``PipelineModel``."""

    def write(self) -> ModelWriter:
        """Writer of this model; ``write().overwrite().save(path)`` replaces an existing one."""
        return ModelWriter(cast(Saved, self))

    @classmethod
    def read(cls) -> ModelReader:
        """Reader of this class."""
        return ModelReader(cast(type[Saved], cls))
