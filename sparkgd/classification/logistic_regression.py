"""Logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.classification import LogisticRegressionModel as MLlibModel
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vector, Vectors
from pyspark.ml.param.shared import HasProbabilityCol, HasRawPredictionCol, HasThreshold, HasThresholds
from pyspark.sql import Column, Row
from pyspark.sql import functions as F

from sparkgd.data.statistics import Statistics
from sparkgd.losses import LogisticLoss, Loss
from sparkgd.ml.class_weights import HasClassWeight
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.model import BinaryModel, raw_prediction
from sparkgd.ml.params import ScoringParams, matrix_of, with_accessors
from sparkgd.ml.penalty_params import ElasticNetParams
from sparkgd.ml.scoring import java_model

Array = npt.NDArray[np.float64]


class _LogisticParams(ScoringParams, HasRawPredictionCol, HasProbabilityCol, HasThreshold, HasThresholds):
    """Params shared by the estimator and its model."""

    def _set_own_defaults(self) -> None:
        self._setDefault(
            featuresCol="features",
            predictionCol="prediction",
            rawPredictionCol="rawPrediction",
            probabilityCol="probability",
            threshold=0.5,
        )


@with_accessors
class LogisticRegressionModel(_LogisticParams, BinaryModel):
    """A fitted logistic regression for two classes.

    ``transform`` adds ``rawPrediction`` = [-m, m], ``probability`` = [1-p, p] and ``prediction`` = 1.0 where
    p > threshold, with m the margin ``x . coefficients + intercept + offset`` and p = 1 / (1 + e^-m).
    """

    @property
    def coefficientMatrix(self) -> DenseMatrix:
        """Coefficients as a matrix of shape (1, numFeatures)."""
        return matrix_of(self._weights)

    @property
    def interceptVector(self) -> DenseVector:
        """The intercept as a vector of length 1."""
        return DenseVector(self._intercepts)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return 2

    def predictProbability(self, value: Vector) -> DenseVector:
        """Probabilities [1-p, p] of one row, without its offset."""
        probability = float(LogisticLoss().inverse_link(np.array(self._margin(value))))
        return DenseVector([1.0 - probability, probability])

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        return float(self.predictProbability(value)[1] > self.getOrDefault("threshold"))

    def _mllib_model(self) -> MLlibModel:
        return MLlibModel(
            java_model(
                "classification.LogisticRegressionModel",
                self.uid, self.coefficientMatrix, self.interceptVector, 2, False,
            )
        )  # fmt: skip

    def _outputs(self, margin: Column) -> dict[str, Column]:
        probability = 1.0 / (1.0 + F.exp(-margin))
        return {
            "rawPredictionCol": raw_prediction(margin),
            "probabilityCol": array_to_vector(F.array(1.0 - probability, probability)),
            "predictionCol": (probability > self.getOrDefault("threshold")).cast("double"),
        }

    def _to_row(self) -> dict[str, Any]:
        return {
            "numClasses": 2,
            "numFeatures": self.numFeatures,
            "interceptVector": Vectors.dense(self._intercepts),
            "coefficientMatrix": self.coefficientMatrix,
            "isMultinomial": False,
        }

    @classmethod
    def _from_row(cls, row: Row) -> LogisticRegressionModel:
        return cls(row.coefficientMatrix.toArray(), row.interceptVector.toArray())


@with_accessors
class LogisticRegression(LinearEstimator[LogisticRegressionModel], _LogisticParams, ElasticNetParams, HasClassWeight):
    """Logistic regression for labels 0 and 1.

    Minimises, as MLlib does,

        (1/W) sum_i w_i [log(1 + e^m_i) - y_i m_i] + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam`` and s_j the weighted unbiased standard deviation of column j if ``standardization`` is
    true, else 1. The intercept is not penalised; a constant column gets the coefficient 0.

    Parameters
    ----------
    **params
        Params of the same names and defaults as ``pyspark.ml.classification.LogisticRegression``, and sparkgd's own;
        ``explainParams()`` lists them.

    Examples
    --------
    >>> model = LogisticRegression(regParam=0.01).fit(df)  # doctest: +SKIP
    >>> model.summary.status  # doctest: +SKIP
    'converged'
    """

    def _set_own_defaults(self) -> None:
        _LogisticParams._set_own_defaults(self)
        self._set_penalty_defaults()

    def _loss(self, statistics: Statistics) -> Loss:
        return LogisticLoss()

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LogisticRegressionModel:
        return LogisticRegressionModel(weights, intercepts)
