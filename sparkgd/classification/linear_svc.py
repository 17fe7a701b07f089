"""Linear support vector machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.classification import LinearSVCModel as MLlibModel
from pyspark.ml.linalg import Vector, Vectors
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasRawPredictionCol
from pyspark.sql import Column, DataFrame, Row

from sparkgd.classification.summaries import LinearSVCSummary, LinearSVCTrainingSummary
from sparkgd.kernels.predictions import Prediction, ThresholdPrediction
from sparkgd.losses import HingeLoss, Loss
from sparkgd.ml import sql
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.model import BinaryModel, raw_prediction
from sparkgd.ml.params.class_weights import HasClassWeight
from sparkgd.ml.params.penalty import RidgeParams
from sparkgd.ml.params.rules import Rule
from sparkgd.ml.params.shared import TrainingParams, param, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import (
    ClassesAccessors,
    ClassesSettings,
    RidgeAccessors,
    RidgeSettings,
    TrainingAccessors,
    TrainingSettings,
)
from sparkgd.ml.scoring import mllib_model
from sparkgd.ml.summary import TrainingSummary

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]


class _SVCParams(TrainingParams, HasRawPredictionCol, RidgeParams, HasClassWeight):
    """Params shared by the estimator and its model."""

    threshold = param(
        "threshold", "raw prediction above which the prediction is 1.0; may be infinite", TypeConverters.toFloat
    )

    def _set_own_defaults(self) -> None:
        self._set_penalty_defaults()
        self._setDefault(rawPredictionCol="rawPrediction", threshold=0.0)


@with_model_accessors
class LinearSVCModel(_SVCParams, BinaryModel, MLlibTwin):
    """A fitted linear support vector machine.

    ``transform`` adds ``rawPrediction`` = [-m, m] and ``prediction`` = 1.0 where m > threshold, with m the margin
    ``x . coefficients + intercept + offset``.
    """

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        return float(self._margin(value) > self.getOrDefault("threshold"))

    def _mllib_model(self) -> MLlibModel | None:
        return mllib_model(MLlibModel, self.uid, self.coefficients, self.intercept)

    def _outputs(self, margin: Column) -> dict[str, Column]:
        return {
            "rawPredictionCol": raw_prediction(margin),
            "predictionCol": (margin > self.getOrDefault("threshold")).cast("double"),
        }

    def evaluate(self, dataset: DataFrame) -> LinearSVCSummary:
        """How well the model does on a DataFrame with labels; metrics are computed when they are asked for."""
        return LinearSVCSummary(self, dataset)

    def _remember(self, dataset: DataFrame, estimator: Any) -> None:
        super()._remember(dataset, estimator)
        self._summary = self._summary_of(self._summary, dataset, estimator)

    def _summary_of(self, training: TrainingSummary, dataset: DataFrame | None, estimator: Any) -> TrainingSummary:
        return LinearSVCTrainingSummary(training, self, dataset, estimator)

    def _sql(self, margins: Sequence[str]) -> dict[str, str]:
        return {"prediction": sql.above(margins[0], self.getOrDefault("threshold")), "margin": margins[0]}

    def _to_row(self) -> dict[str, Any]:
        return {"coefficients": Vectors.dense(self._weights[0]), "intercept": self.intercept}

    @classmethod
    def _from_row(cls, row: Row) -> LinearSVCModel:
        return cls(row.coefficients.toArray()[None, :], np.array([row.intercept]))


class LinearSVCSettings(TrainingSettings, RidgeSettings, ClassesSettings, total=False):
    """Params of `LinearSVC`."""


class LinearSVCAccessors(TrainingAccessors, RidgeAccessors, ClassesAccessors):
    """Setters and getters of `LinearSVC`."""


@with_accessors
class LinearSVC(_SVCParams, LinearEstimator[LinearSVCModel], LinearSVCAccessors):
    """Linear support vector machine for labels 0 and 1.

    Minimises, as MLlib means to do, ``(1/W) sum_i w_i max(0, 1 - (2 y_i - 1) m_i) + regParam/2 sum_j s_j^2 b_j^2`` with
    s_j the weighted unbiased standard deviation of column j if ``standardization`` is true, else 1. The intercept is
    not penalised; a constant column gets the coefficient 0.

    The hinge loss has a kink, at which MLlib's solver gets stuck above the minimum. Here it is smoothed, ever less,
    until the duality gap (``summary.dualityGap``) proves that the objective is within ``tol`` of its minimum,
    relatively.

    Parameters
    ----------
    **params
        Params of the same names and defaults as ``pyspark.ml.classification.LinearSVC``, and sparkgd's own;
        ``explainParams()`` lists them.

    Examples
    --------
    >>> model = LinearSVC(regParam=0.01).fit(df)  # doctest: +SKIP
    >>> model.summary.statusReason  # doctest: +SKIP
    'duality gap 1.2e-07 <= 3.5e-07'
    """

    def __init__(self, **params: Unpack[LinearSVCSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[LinearSVCSettings]) -> LinearSVC:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def _rules(self) -> dict[str, Rule]:
        return {**super()._rules(), "threshold": (lambda value: not math.isnan(value), "a number, not NaN")}

    def _loss(self, classes: int) -> Loss:
        return HingeLoss()

    def _prediction(self, outputs: int) -> Prediction:
        return ThresholdPrediction(self.getOrDefault("threshold"))

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LinearSVCModel:
        return LinearSVCModel(weights, intercepts)
