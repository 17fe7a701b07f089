"""A linear classifier with any loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vector, Vectors
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasRawPredictionCol
from pyspark.sql import Column, DataFrame, Row

from sparkgd.exceptions import IncompatibleError
from sparkgd.losses import Loss
from sparkgd.ml.class_weights import HasClassWeight
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.loss_params import LossParams, loss_of
from sparkgd.ml.model import BinaryModel, raw_prediction
from sparkgd.ml.params import Rule, ScoringParams, matrix_of, param, value_or_none, with_accessors
from sparkgd.ml.penalty_params import AnyPenaltyParams
from sparkgd.ml.persistence import EstimatorWriter
from sparkgd.ml.scoring import with_multinomial
from sparkgd.ml.session import TrainingData

Array = npt.NDArray[np.float64]


class _ClassifierParams(ScoringParams, HasRawPredictionCol, LossParams):
    """Params shared by the estimator and its model."""

    threshold = param("threshold", "margin above which the prediction is 1, with two classes", TypeConverters.toFloat)

    def _set_own_defaults(self) -> None:
        self._set_loss_defaults("logistic")
        self._setDefault(
            featuresCol="features", predictionCol="prediction", rawPredictionCol="rawPrediction", threshold=0.0
        )


@with_accessors
class GradientDescentClassifierModel(_ClassifierParams, BinaryModel):
    """A fitted linear classifier.

    For two classes ``transform`` adds ``rawPrediction`` = [-m, m] and ``prediction`` = 1.0 where the margin m =
    ``x . coefficients + intercept + offset`` exceeds ``threshold``; for more (``loss="multinomial"``) the K margins and
    the class of the largest.
    """

    @property
    def coefficientMatrix(self) -> DenseMatrix:
        """Coefficients as a matrix of shape (1, numFeatures), or (numClasses, numFeatures)."""
        return matrix_of(self._weights)

    @property
    def interceptVector(self) -> DenseVector:
        """Intercepts, of length 1 or numClasses."""
        return DenseVector(self._intercepts)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return max(len(self._intercepts), 2)

    def predictRaw(self, value: Vector) -> DenseVector:
        """Raw prediction of one row, [-m, m] or the K margins, without its offset."""
        if len(self._intercepts) == 1:
            return super().predictRaw(value)
        return DenseVector(self._weights @ value.toArray() + self._intercepts)

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        raw = self.predictRaw(value).toArray()
        if len(self._intercepts) == 1:
            return float(raw[1] > self.getOrDefault("threshold"))
        return float(np.argmax(raw))

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        if len(self._intercepts) == 1:
            return super()._score(df, vector)
        outputs = {name: self.getOrDefault(name) for name in ("rawPredictionCol", "predictionCol")}
        return with_multinomial(
            df, vector, self.coefficientMatrix, self.interceptVector, {**outputs, "probabilityCol": ""}
        )

    def _outputs(self, margin: Column) -> dict[str, Column]:
        return {
            "rawPredictionCol": raw_prediction(margin),
            "predictionCol": (margin > self.getOrDefault("threshold")).cast("double"),
        }

    def _to_row(self) -> dict[str, Any]:
        return {"interceptVector": Vectors.dense(self._intercepts), "coefficientMatrix": self.coefficientMatrix}

    @classmethod
    def _from_row(cls, row: Row) -> GradientDescentClassifierModel:
        return cls(row.coefficientMatrix.toArray(), row.interceptVector.toArray())


@with_accessors
class GradientDescentClassifier(
    LinearEstimator[GradientDescentClassifierModel], _ClassifierParams, AnyPenaltyParams, HasClassWeight
):
    """A linear classifier that minimises any loss of class labels.

    Minimises

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

    def _set_own_defaults(self) -> None:
        _ClassifierParams._set_own_defaults(self)
        self._set_penalty_defaults()

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
        loss_of(self, for_classes=True, num_classes=2)

    def _loss(self, data: TrainingData) -> Loss:
        loss = loss_of(self, for_classes=True, num_classes=data.num_classes(self.getOrDefault("labelCol")))
        if loss.num_outputs > 1 and value_or_none(self, "offsetCol") is not None:
            raise IncompatibleError(
                "offsetCol cannot be used with the multinomial loss: it would change no probability"
            )
        return loss

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> GradientDescentClassifierModel:
        return GradientDescentClassifierModel(weights, intercepts)

    def write(self) -> EstimatorWriter:
        """Writer of the params; a loss of your own is saved by its import path."""
        return EstimatorWriter(self)
