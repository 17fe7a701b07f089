"""An estimator that fits a path of penalties, from the one that leaves no weight down to a share of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from pyspark.ml.base import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable
from pyspark.sql import DataFrame

from sparkgd.exceptions import ConvergenceWarning, SparkGDError
from sparkgd.ml.checkpoints import kept
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.fitted_path import FittedPath, validation_loss
from sparkgd.ml.fitting import fits_of, models_of, packed, raised
from sparkgd.ml.model_fits import found_by
from sparkgd.ml.params.shared import param, value_or_none
from sparkgd.ml.persistence import Writer
from sparkgd.ml.training_data import TrainingData
from sparkgd.ml.warn import warn
from sparkgd.training.history import Keeper
from sparkgd.training.null_model import zero_factor

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

ModelT = TypeVar("ModelT", bound=Model)


class RegParamPath(Estimator[ModelT], MLWritable, MLReadable["RegParamPath[Any]"], Generic[ModelT]):
    """Fits an estimator with many values of ``regParam`` at about the cost of a few fits.

    The strongest penalty is the least that leaves every penalised coefficient zero (Friedman, Hastie and Tibshirani,
    2010); without L1, where no penalty does, it is that of ``elasticNetParam=0.001``. The others follow in equal
    ratios. The rows are packed once, and all models share the rounds.

    ``fit`` returns the model with the least loss on the rows of ``validationIndicatorCol``; without validation that of
    the weakest penalty. Its ``path`` has all of them.

    Parameters
    ----------
    estimator : LinearEstimator
        Of sparkgd; its own ``regParam`` is not used.
    nLambda : int
        Number of models (>= 2).
    ratio : float
        The weakest penalty as a share of the strongest, in (0, 1).

    Raises
    ------
    IncompatibleError
        If the estimator has no ``regParam``, or a starting point, which would be the same for all.
    InvalidParamError
        If ``nLambda`` or ``ratio`` is out of range.
    """

    nLambda = param("nLambda", "number of penalties (>= 2)", TypeConverters.toInt)
    ratio = param("ratio", "the weakest penalty as a share of the strongest (0, 1)", TypeConverters.toFloat)

    def __init__(self, estimator: LinearEstimator[ModelT], nLambda: int = 100, ratio: float = 1e-3) -> None:
        super().__init__()
        self._estimator = estimator
        self._setDefault(nLambda=100, ratio=1e-3)
        self._set(nLambda=nLambda, ratio=ratio)
        self._check()

    def getEstimator(self) -> LinearEstimator[ModelT]:
        """The estimator whose penalty varies."""
        return self._estimator

    def getNLambda(self) -> int:
        """Number of penalties."""
        number: int = self.getOrDefault("nLambda")
        return number

    def getRatio(self) -> float:
        """The weakest penalty as a share of the strongest."""
        ratio: float = self.getOrDefault("ratio")
        return ratio

    def copy(self, extra: dict[Param[Any], Any] | None = None) -> RegParamPath[ModelT]:
        """A copy with extra params, of this object or of its estimator."""
        given = extra or {}
        own = {key: value for key, value in given.items() if key.parent == self.uid}
        copied: RegParamPath[ModelT] = Params.copy(self, own)
        copied._estimator = self._estimator.copy({key: given[key] for key in given.keys() - own.keys()})
        return copied

    def _check(self) -> None:
        """Refuse what can be refused before any row is read."""
        name = type(self._estimator).__name__
        if not self._estimator.hasParam("regParam"):
            raise IncompatibleError(f"{name} has no regParam, so there is no path of it")
        for start in ("initialCoefficients", "initialIntercept"):
            if value_or_none(self._estimator, start) is not None:
                raise IncompatibleError(f"{start} cannot be used with a path: each model starts from its neighbour")
        if self.getNLambda() < 2:
            raise InvalidParamError(f"nLambda={self.getNLambda()} must be at least 2")
        if not 0.0 < self.getRatio() < 1.0:
            raise InvalidParamError(f"ratio={self.getRatio():g} must be between 0 and 1")

    def _fit(self, dataset: DataFrame) -> ModelT:
        self._check()
        estimator = self._estimator
        estimator._check()
        purpose = f"a path of {self.getNLambda()} penalties down to {self.getRatio()}"
        with packed(dataset, [estimator]) as data, kept([estimator], data, purpose) as keeper:
            models = self._models(data, keeper)
            statistics = data.rows.statistics
        for model in models:
            model._remember(dataset, estimator)
        is_standardised = value_or_none(estimator, "standardization")
        scale = statistics.deviation() if is_standardised else np.ones(len(statistics.mean))
        chosen = len(models) - 1
        if data.columns.validation is not None:
            chosen = int(np.nanargmin([validation_loss(model) for model in models]))
        best: ModelT = models[chosen].copy()
        best._path = FittedPath(models, chosen, scale)  # type: ignore[attr-defined]
        return best

    def _models(self, data: TrainingData, keeper: Keeper | None) -> list[Any]:
        """The models that could be fitted; a warning says how many could not, and why."""
        unit = self._estimator.copy({self._estimator.getParam("regParam"): 1.0})
        strongest = found_by(unit._fit_of(data), zero_factor) or 1.0
        strengths = strongest * np.geomspace(1.0, self.getRatio(), self.getNLambda())
        steps = {
            number: self._estimator.copy({self._estimator.getParam("regParam"): float(strength)})
            for number, strength in enumerate(strengths)
        }
        found: dict[int, Any] = {}
        found |= models_of(fits_of(steps, data, found), keeper)
        models = [found[number] for number in range(len(steps))]
        failed = [each for each in models if isinstance(each, SparkGDError)]
        if len(failed) == len(models):
            raised(failed[0])
        if failed:
            text = f"{len(failed)} of {len(models)} models of the path are missing, the first since {failed[0]}"
            warn(text, ConvergenceWarning)
        return [each for each in models if not isinstance(each, SparkGDError)]

    def write(self) -> _PathWriter:
        """Writer of the params, and of the estimator beside them."""
        return _PathWriter(self)

    @classmethod
    def read(cls) -> _PathReader:
        """Reader of what `write` saved."""
        return _PathReader()


class _PathWriter(Writer):
    def __init__(self, path: RegParamPath[Any]) -> None:
        super().__init__()
        self._path = path

    def saveImpl(self, path: str) -> None:
        DefaultParamsWriter.saveMetadata(self._path, path, self.sparkSession)
        self._path.getEstimator().save(os.path.join(path, "estimator"))


class _PathReader(MLReader["RegParamPath[Any]"]):
    def load(self, path: str) -> RegParamPath[Any]:
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        estimator: Any = DefaultParamsReader.loadParamsInstance(os.path.join(path, "estimator"), self.sparkSession)
        loaded: RegParamPath[Any] = RegParamPath(estimator)
        loaded._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(loaded, metadata)
        return loaded
