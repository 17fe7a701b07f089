"""Logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.base import Model
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vector, Vectors
from pyspark.ml.param.shared import HasProbabilityCol, HasRawPredictionCol, HasThreshold, HasThresholds
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from sparkgd.data.statistics import Statistics
from sparkgd.losses import LogisticLoss, Loss
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.params import ScoringParams, matrix_of, value_or_none, with_accessors
from sparkgd.ml.persistence import ModelPersistence
from sparkgd.ml.scoring import java_model, with_margin, with_vector
from sparkgd.ml.summary import HasSummary
from sparkgd.penalties import Penalty, elastic_net

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
class LogisticRegressionModel(_LogisticParams, Model, ModelPersistence, HasSummary):
    """A fitted logistic regression for two classes.

    ``transform`` adds ``rawPrediction`` = [-m, m], ``probability`` = [1-p, p] and ``prediction`` = 1.0 where
    p > threshold, with m the margin ``x . coefficients + intercept + offset`` and p = 1 / (1 + e^-m).
    """

    def __init__(self, weights: Array | None = None, intercepts: Array | None = None) -> None:
        super().__init__()
        self._set_own_defaults()
        self._weights = np.zeros((1, 0)) if weights is None else weights
        self._intercepts = np.zeros(1) if intercepts is None else intercepts

    @property
    def coefficients(self) -> DenseVector:
        """Coefficients of shape (numFeatures,)."""
        return DenseVector(self._weights[0])

    @property
    def intercept(self) -> float:
        """The intercept, 0.0 where none was fitted."""
        return float(self._intercepts[0])

    @property
    def coefficientMatrix(self) -> DenseMatrix:
        """Coefficients as a matrix of shape (1, numFeatures)."""
        return matrix_of(self._weights)

    @property
    def interceptVector(self) -> DenseVector:
        """The intercept as a vector of length 1."""
        return DenseVector(self._intercepts)

    @property
    def numFeatures(self) -> int:
        """Number of features."""
        return int(self._weights.shape[1])

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return 2

    def predictRaw(self, value: Vector) -> DenseVector:
        """Raw prediction [-m, m] of one row, without its offset."""
        margin = float(self._weights[0] @ value.toArray()) + self.intercept
        return DenseVector([-margin, margin])

    def predictProbability(self, value: Vector) -> DenseVector:
        """Probabilities [1-p, p] of one row, without its offset."""
        probability = float(LogisticLoss().inverse_link(np.array(self.predictRaw(value)[1])))
        return DenseVector([1.0 - probability, probability])

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        return float(self.predictProbability(value)[1] > self.getOrDefault("threshold"))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        features = value_or_none(self, "featuresCols")
        chosen = tuple(features) if features else self.getOrDefault("featuresCol")
        score = self._score if value_or_none(self, "offsetCol") is None else self._score_with_offset
        return with_vector(dataset, chosen, score)

    def _score(self, df: DataFrame, vector: str) -> DataFrame:
        from pyspark.ml.classification import LogisticRegressionModel as MLlibModel

        java = java_model(
            "classification.LogisticRegressionModel", self.uid, self.coefficientMatrix, self.interceptVector, 2, False
        )
        model = MLlibModel(java).setFeaturesCol(vector)
        for name in ("rawPredictionCol", "probabilityCol", "predictionCol", "threshold", "thresholds"):
            if self.isSet(name) or (name != "threshold" and self.isDefined(name)):
                model.set(model.getParam(name), self.getOrDefault(name))
        return model.transform(df)

    def _score_with_offset(self, df: DataFrame, vector: str) -> DataFrame:
        margin = f"margin_{self.uid}"
        df = with_margin(df, vector, self.coefficients, self.intercept, self.getOrDefault("offsetCol"), margin)
        m = F.col(margin)
        p = 1.0 / (1.0 + F.exp(-m))
        outputs = {
            self.getOrDefault("rawPredictionCol"): array_to_vector(F.array(-m, m)),
            self.getOrDefault("probabilityCol"): array_to_vector(F.array(1.0 - p, p)),
            self.getOrDefault("predictionCol"): (p > self.getOrDefault("threshold")).cast("double"),
        }
        return df.withColumns({name: column for name, column in outputs.items() if name}).drop(margin)

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
class LogisticRegression(LinearEstimator[LogisticRegressionModel], _LogisticParams):
    """Logistic regression for labels 0 and 1.

    Minimises, as MLlib does, ``(1/W) sum_i w_i [log(1 + e^m_i) - y_i m_i] + regParam/2 sum_j s_j^2 b_j^2`` with s_j the
    weighted unbiased standard deviation of column j if ``standardization`` is true, else 1. The intercept is not
    penalised; a constant column gets the coefficient 0.

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

    def _loss(self, statistics: Statistics) -> Loss:
        return LogisticLoss()

    def _penalty(self, statistics: Statistics, outputs: int) -> Penalty:
        columns = len(statistics.mean)
        scale = statistics.deviation() if self.getOrDefault("standardization") else np.ones(columns)
        return elastic_net(self.getOrDefault("regParam"), 0.0, np.tile(scale, outputs))

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LogisticRegressionModel:
        return LogisticRegressionModel(weights, intercepts)
