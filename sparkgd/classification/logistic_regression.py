"""Logistic regression, binomial and multinomial."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.classification import LogisticRegressionModel as MLlibModel
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vector, Vectors
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasProbabilityCol, HasRawPredictionCol, HasThreshold, HasThresholds
from pyspark.sql import Column, Row
from pyspark.sql import functions as F

from sparkgd.exceptions import IncompatibleError
from sparkgd.losses import LogisticLoss, Loss, MultinomialLoss
from sparkgd.ml.class_weights import HasClassWeight
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.model import BinaryModel, raw_prediction
from sparkgd.ml.params import Rule, ScoringParams, matrix_of, one_of, param, value_or_none, with_accessors
from sparkgd.ml.penalty_params import ElasticNetParams, HasBounds
from sparkgd.ml.scoring import java_model
from sparkgd.ml.session import TrainingData

Array = npt.NDArray[np.float64]


class _LogisticParams(ScoringParams, HasRawPredictionCol, HasProbabilityCol, HasThreshold, HasThresholds):
    """Params shared by the estimator and its model."""

    family = param(
        "family",
        "auto (binomial for two classes), binomial (labels 0 and 1) or multinomial (softmax over all classes)",
        TypeConverters.toString,
    )

    def _set_own_defaults(self) -> None:
        self._setDefault(
            featuresCol="features",
            predictionCol="prediction",
            rawPredictionCol="rawPrediction",
            probabilityCol="probability",
            threshold=0.5,
            family="auto",
        )


@with_accessors
class LogisticRegressionModel(_LogisticParams, BinaryModel):
    """A fitted logistic regression.

    Binomial: ``transform`` adds ``rawPrediction`` = [-m, m], ``probability`` = [1-p, p] and ``prediction`` = 1.0 where
    p > threshold, with m the margin ``x . coefficients + intercept + offset`` and p = 1 / (1 + e^-m). Multinomial:
    ``rawPrediction`` holds the K margins, ``probability`` their softmax, ``prediction`` the class of the largest
    probability (divided by ``thresholds`` where these are set).

    Parameters
    ----------
    weights : ndarray (1, p), or (K, p) if multinomial
    intercepts : ndarray (1,) or (K,)
    multinomial : bool
    """

    def __init__(
        self, weights: Array | None = None, intercepts: Array | None = None, multinomial: bool = False
    ) -> None:
        super().__init__(weights, intercepts)
        self._multinomial = multinomial

    @property
    def coefficients(self) -> DenseVector:
        """Coefficients of shape (numFeatures,) of a binomial model.

        Raises
        ------
        IncompatibleError
            If the model is multinomial.
        """
        self._require_binomial("coefficients", "coefficientMatrix")
        return super().coefficients

    @property
    def intercept(self) -> float:
        """The intercept of a binomial model, 0.0 where none was fitted.

        Raises
        ------
        IncompatibleError
            If the model is multinomial.
        """
        self._require_binomial("intercept", "interceptVector")
        return super().intercept

    def _require_binomial(self, name: str, instead: str) -> None:
        if self._multinomial:
            raise IncompatibleError(f"a multinomial model has no {name}; use {instead}, which has a row for each class")

    @property
    def coefficientMatrix(self) -> DenseMatrix:
        """Coefficients as a matrix of shape (1, numFeatures), or (numClasses, numFeatures) if multinomial."""
        return matrix_of(self._weights)

    @property
    def interceptVector(self) -> DenseVector:
        """Intercepts, of length 1 or numClasses."""
        return DenseVector(self._intercepts)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return len(self._intercepts) if self._multinomial else 2

    def predictRaw(self, value: Vector) -> DenseVector:
        """Raw prediction of one row, [-m, m] or the K margins, without its offset."""
        if not self._multinomial:
            return super().predictRaw(value)
        return DenseVector(self._weights @ value.toArray() + self._intercepts)

    def predictProbability(self, value: Vector) -> DenseVector:
        """Probability of each class for one row, without its offset."""
        if self._multinomial:
            return DenseVector(MultinomialLoss(self.numClasses).inverse_link(self.predictRaw(value).toArray()))
        probability = float(LogisticLoss().inverse_link(np.array(self._margin(value))))
        return DenseVector([1.0 - probability, probability])

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        probability = self.predictProbability(value).toArray()
        thresholds = value_or_none(self, "thresholds")
        if thresholds:
            return float(np.argmax(probability / np.maximum(thresholds, np.finfo(float).tiny)))
        if self._multinomial:
            return float(np.argmax(probability))
        return float(probability[1] > self.getOrDefault("threshold"))

    def _mllib_model(self) -> MLlibModel:
        return MLlibModel(
            java_model(
                "classification.LogisticRegressionModel",
                self.uid, self.coefficientMatrix, self.interceptVector, self.numClasses, self._multinomial,
            )
        )  # fmt: skip

    def _outputs(self, margin: Column) -> dict[str, Column]:
        probability = 1.0 / (1.0 + F.exp(-margin))
        return {
            "rawPredictionCol": raw_prediction(margin),
            "probabilityCol": array_to_vector(F.array(1.0 - probability, probability)),
            "predictionCol": (probability > self._probability_threshold()).cast("double"),
        }

    def _probability_threshold(self) -> float:
        """``threshold``, or what ``thresholds`` (t0, t1) amount to: t1 / (t0 + t1)."""
        thresholds = value_or_none(self, "thresholds")
        return float(thresholds[1] / sum(thresholds) if thresholds else self.getOrDefault("threshold"))

    def _to_row(self) -> dict[str, Any]:
        return {
            "numClasses": self.numClasses,
            "numFeatures": self.numFeatures,
            "interceptVector": Vectors.dense(self._intercepts),
            "coefficientMatrix": self.coefficientMatrix,
            "isMultinomial": self._multinomial,
        }

    @classmethod
    def _from_row(cls, row: Row) -> LogisticRegressionModel:
        return cls(row.coefficientMatrix.toArray(), row.interceptVector.toArray(), row.isMultinomial)


@with_accessors
class LogisticRegression(
    LinearEstimator[LogisticRegressionModel], _LogisticParams, ElasticNetParams, HasBounds, HasClassWeight
):
    """Logistic regression for two or more classes, labelled 0, 1, ...

    Minimises, as MLlib does,

        (1/W) sum_i w_i loss_i + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam`` and s_j the weighted unbiased standard deviation of column j if ``standardization`` is
    true, else 1. ``loss_i`` is ``log(1 + e^m_i) - y_i m_i`` with ``family="binomial"``, and with ``"multinomial"``
    ``log sum_k e^m_ik - m_i,y_i``, the penalty then being the sum over all K x p coefficients. Intercepts are not
    penalised; a constant column gets the coefficient 0. Multinomial intercepts (and, without a penalty, coefficients)
    are centred over the classes, as MLlib does.

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

    def _rules(self) -> dict[str, Rule]:
        return {**super()._rules(), "family": one_of("auto", "binomial", "multinomial")}

    def _loss(self, data: TrainingData) -> Loss:
        classes = data.num_classes(self.getOrDefault("labelCol"))
        family = self.getOrDefault("family")
        if family == "binomial" or (family == "auto" and classes == 2):
            return LogisticLoss()
        if value_or_none(self, "offsetCol") is not None:
            reason = "the same offset for all classes changes no probability"
            raise IncompatibleError(f"offsetCol cannot be used with a multinomial family: {reason}")
        return MultinomialLoss(classes)

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LogisticRegressionModel:
        if loss.num_outputs == 1:
            return LogisticRegressionModel(weights, intercepts)
        if self.getOrDefault("fitIntercept"):
            intercepts = intercepts - intercepts.mean()
        if self.getOrDefault("regParam") == 0.0:
            weights = weights - weights.mean(axis=0)
        return LogisticRegressionModel(weights, intercepts, multinomial=True)
