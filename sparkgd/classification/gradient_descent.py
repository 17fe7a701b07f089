"""A linear classifier with any loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasRawPredictionCol
from pyspark.sql import Column, DataFrame

from sparkgd.kernels.predictions import LargestPrediction, Prediction, ThresholdPrediction
from sparkgd.losses import LabelRange, Loss, LossSettings
from sparkgd.ml.data_checks import check_has_features
from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.model import ClassifierModel, raw_prediction
from sparkgd.ml.params.class_weights import HasClassWeight
from sparkgd.ml.params.loss import HasLoss, loss_of
from sparkgd.ml.params.penalty import AnyPenaltyParams, centred
from sparkgd.ml.params.rules import Rule
from sparkgd.ml.params.shared import TrainingParams, param, value_or_none, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import (
    BoundsAccessors,
    BoundsSettings,
    ClassesAccessors,
    ClassesSettings,
    ElasticNetAccessors,
    ElasticNetSettings,
    Getter,
    GroupsAccessors,
    GroupsSettings,
    Setter,
    TrainingAccessors,
    TrainingSettings,
)
from sparkgd.ml.scoring import configured, logistic_model
from sparkgd.ml.training_data import TrainingData

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]


class _ClassifierParams(HasLoss, TrainingParams, HasRawPredictionCol, AnyPenaltyParams, HasClassWeight):
    """Params shared by the estimator and its model."""

    threshold = param("threshold", "margin above which the prediction is 1, with two classes", TypeConverters.toFloat)

    def _set_own_defaults(self) -> None:
        self._set_penalty_defaults()
        self._setDefault(rawPredictionCol="rawPrediction", threshold=0.0, loss="logistic")


@with_model_accessors
class GradientDescentClassifierModel(_ClassifierParams, ClassifierModel):
    """A fitted linear classifier.

    For two classes ``transform`` adds ``rawPrediction`` = [-m, m] and ``prediction`` = 1.0 where the margin m =
    ``x . coefficients + intercept + offset`` exceeds ``threshold``; for more (``loss="multinomial"``) the K margins and
    the class of the largest.
    """

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        raw = self.predictRaw(value).toArray()
        if self._is_multinomial:
            return float(np.argmax(raw))
        return float(raw[1] > self.getOrDefault("threshold"))

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        if not self._is_multinomial:
            return super()._score(df, vector)
        mllib = logistic_model(self.uid, self.coefficientMatrix, self.interceptVector, self.numClasses, True)
        mllib.setProbabilityCol("")
        scored: DataFrame = configured(mllib, self, vector, ("rawPredictionCol", "predictionCol")).transform(df)
        return scored

    def _outputs(self, margin: Column) -> dict[str, Column]:
        return {
            "rawPredictionCol": raw_prediction(margin),
            "predictionCol": (margin > self.getOrDefault("threshold")).cast("double"),
        }


class GradientDescentClassifierSettings(
    TrainingSettings, ElasticNetSettings, BoundsSettings, GroupsSettings, ClassesSettings, total=False
):
    """Params of `GradientDescentClassifier`."""

    loss: object


class GradientDescentClassifierAccessors(
    TrainingAccessors, ElasticNetAccessors, BoundsAccessors, GroupsAccessors, ClassesAccessors
):
    """Setters and getters of `GradientDescentClassifier`."""

    setLoss: Setter[object]
    getLoss: Getter[object]


@with_accessors
class GradientDescentClassifier(
    _ClassifierParams, LinearEstimator[GradientDescentClassifierModel], GradientDescentClassifierAccessors
):
    """A linear classifier that minimises any loss of class labels.

    Minimises ::

        (1/W) sum_i w_i loss(y_i, m_i) + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam`` and s_j the weighted unbiased standard deviation of column j if ``standardization`` is
    true, else 1; within bounds where there are any. The intercept is not penalised.

    Parameters
    ----------
    **params
        ``loss`` is ``logistic``, ``hinge``, ``squaredHinge`` or ``modifiedHuber`` (labels 0 and 1), ``multinomial``
        (labels 0 to K-1), or a loss of your own; ``explainParams()`` lists all.

    Examples
    --------
    >>> model = GradientDescentClassifier(loss="squaredHinge", regParam=0.01).fit(df)  # doctest: +SKIP
    """

    def __init__(self, **params: Unpack[GradientDescentClassifierSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[GradientDescentClassifierSettings]) -> GradientDescentClassifier:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def _rules(self) -> dict[str, Rule]:
        return {**super()._rules(), "threshold": (np.isfinite, "a finite number")}

    def checkParams(self) -> None:
        """Check the value of every param, and that the loss can be made.

        Raises
        ------
        InvalidParamError
            If a value is not allowed.
        ModelFormatError
            If a loss of the user's own cannot be imported.
        """
        super().checkParams()
        self._chosen_loss(num_classes=2, checked=True)

    def _chosen_loss(self, num_classes: int, checked: bool = False) -> Loss:
        return loss_of(self, LossSettings(num_classes=num_classes), for_classes=True, checked=checked)

    def _num_classes(self, data: TrainingData) -> int:
        classes = data.num_classes(self.getOrDefault("labelCol"))
        if self._loss(classes).num_outputs > 1:
            check_has_features(data.rows.statistics, self._columns())
        return classes

    def _loss(self, classes: int) -> Loss:
        loss = self._chosen_loss(classes)
        if loss.num_outputs > 1 and value_or_none(self, "offsetCol") is not None:
            raise IncompatibleError(
                "offsetCol cannot be used with the multinomial loss: it would change no probability"
            )
        return loss

    def _label_range(self, loss: Loss) -> LabelRange:
        """Labels are classes, whatever a loss of the user's own could take."""
        return LabelRange(0.0, max(loss.num_outputs, 2) - 1.0, integer=True)

    def _prediction(self, outputs: int) -> Prediction:
        return LargestPrediction() if outputs > 1 else ThresholdPrediction(self.getOrDefault("threshold"))

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> GradientDescentClassifierModel:
        if loss.num_outputs > 1:
            weights, intercepts = centred(self, weights, intercepts)
        return GradientDescentClassifierModel(weights, intercepts)
