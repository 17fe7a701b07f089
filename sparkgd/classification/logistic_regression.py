"""Logistic regression, binomial and multinomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.classification import LogisticRegressionModel as MLlibModel
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseVector, Vector
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasProbabilityCol, HasRawPredictionCol
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sparkgd.classification.summaries import (
    LogisticRegressionSummary,
    logistic_summary,
    logistic_training_summary,
)
from sparkgd.kernels.predictions import LARGEST, LargestPrediction, Prediction, ThresholdPrediction
from sparkgd.losses import LogisticLoss, Loss, MultinomialLoss
from sparkgd.ml import sql
from sparkgd.ml.data_checks import check_has_features
from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.exchange import MLlibTwin
from sparkgd.ml.model import ClassifierModel, raw_prediction
from sparkgd.ml.params.class_weights import HasClassWeight
from sparkgd.ml.params.penalty import ElasticNetParams, HasBounds, centred
from sparkgd.ml.params.rules import Rule, one_of_in_any_case
from sparkgd.ml.params.shared import TrainingParams, param, value_or_none, with_accessors, with_model_accessors
from sparkgd.ml.params.signatures import (
    BoundsAccessors,
    BoundsSettings,
    ClassesAccessors,
    ClassesSettings,
    ElasticNetAccessors,
    ElasticNetSettings,
    Getter,
    Setter,
    TrainingAccessors,
    TrainingSettings,
)
from sparkgd.ml.scoring import logistic_model
from sparkgd.ml.summary import TrainingSummary
from sparkgd.ml.thresholds import THRESHOLDS_RULE, ThresholdParams
from sparkgd.ml.training_data import TrainingData

if TYPE_CHECKING:
    from typing_extensions import Unpack

Array = npt.NDArray[np.float64]


class _LogisticParams(
    TrainingParams, HasRawPredictionCol, HasProbabilityCol, ThresholdParams, ElasticNetParams, HasBounds, HasClassWeight
):
    """Params shared by the estimator and its model."""

    family = param(
        "family",
        "auto (binomial for two classes), binomial (labels 0 and 1) or multinomial (softmax over all classes)",
        TypeConverters.toString,
    )

    def _set_own_defaults(self) -> None:
        self._set_penalty_defaults()
        self._setDefault(rawPredictionCol="rawPrediction", probabilityCol="probability", threshold=0.5, family="auto")


@with_model_accessors
class LogisticRegressionModel(_LogisticParams, ClassifierModel, MLlibTwin):
    """A fitted logistic regression.

    Binomial: ``transform`` adds ``rawPrediction`` = [-m, m], ``probability`` = [1-p, p] and ``prediction`` = 1.0 where
    p > threshold, with m the margin ``x . coefficients + intercept + offset`` and p = 1 / (1 + e^-m). Multinomial:
    ``rawPrediction`` holds the K margins, ``probability`` their softmax, ``prediction`` the class of the largest
    probability (divided by ``thresholds`` where these are set).

    Parameters
    ----------
    weights : ndarray (1, p), or (K, p) if multinomial
    intercepts : ndarray (1,) or (K,)
    """

    def predictProbability(self, value: Vector) -> DenseVector:
        """Probability of each class for one row, without its offset."""
        if self._is_multinomial:
            finite = np.clip(self.predictRaw(value).toArray(), -LARGEST, LARGEST)
            return DenseVector(MultinomialLoss(self.numClasses).inverse_link(finite))
        probability = float(LogisticLoss().inverse_link(np.array(self._margin(value))))
        return DenseVector([1.0 - probability, probability])

    def predict(self, value: Vector) -> float:
        """Class of one row, without its offset."""
        probability = self.predictProbability(value).toArray()
        return self._largest(probability) if self._is_multinomial else float(probability[1] > self.getThreshold())

    def _mllib_model(self) -> MLlibModel:
        matrix, vector = self.coefficientMatrix, self.interceptVector
        return logistic_model(self.uid, matrix, vector, self.numClasses, self._is_multinomial)

    def _outputs(self, margin: Column) -> dict[str, Column]:
        probability = 1.0 / (1.0 + F.exp(-margin))
        return {
            "rawPredictionCol": raw_prediction(margin),
            "probabilityCol": array_to_vector(F.array(1.0 - probability, probability)),
            "predictionCol": (probability > self.getThreshold()).cast("double"),
        }

    def evaluate(self, dataset: DataFrame) -> LogisticRegressionSummary:
        """How well the model does on a DataFrame with labels; metrics are computed when they are asked for."""
        return logistic_summary(self.numClasses)(self, dataset)

    def _remember(self, dataset: DataFrame, estimator: Any) -> None:
        super()._remember(dataset, estimator)
        self._summary = self._summary_of(self._summary, dataset, estimator)

    def _summary_of(self, training: TrainingSummary, dataset: DataFrame | None, estimator: Any) -> TrainingSummary:
        return logistic_training_summary(self.numClasses)(training, self, dataset, estimator)

    def _sql(self, margins: Sequence[str]) -> dict[str, str]:
        if not self._is_multinomial:
            probability = sql.logistic(margins[0])
            prediction = sql.above(probability, self.getThreshold())
            return {"prediction": prediction, "margin": margins[0], "probability": probability}
        probabilities, cuts = sql.softmax(margins), self._divisors()
        scaled = margins
        if cuts is not None:
            scaled = [f"{p} / {sql.number(cut)}" for p, cut in zip(probabilities, cuts, strict=True)]
        listed = {"margin": margins, "probability": probabilities}
        arrays = {name: f"array({', '.join(values)})" for name, values in listed.items()}
        return {"prediction": sql.largest(scaled), **arrays}

    def _to_row(self) -> dict[str, Any]:
        sizes = {"numClasses": self.numClasses, "numFeatures": self.numFeatures, "isMultinomial": self._is_multinomial}
        return {**sizes, **super()._to_row()}


class LogisticRegressionSettings(TrainingSettings, ElasticNetSettings, BoundsSettings, ClassesSettings, total=False):
    """Params of `LogisticRegression`."""

    family: str
    probabilityCol: str
    thresholds: list[float]


class LogisticRegressionAccessors(TrainingAccessors, ElasticNetAccessors, BoundsAccessors, ClassesAccessors):
    """Setters and getters of `LogisticRegression`."""

    setFamily: Setter[str]
    setProbabilityCol: Setter[str]
    setThresholds: Setter[list[float]]
    getFamily: Getter[str]


@with_accessors
class LogisticRegression(_LogisticParams, LinearEstimator[LogisticRegressionModel], LogisticRegressionAccessors):
    """Logistic regression for two or more classes, labelled 0, 1, ...

    Minimises, as MLlib does, ::

        (1/W) sum_i w_i loss_i + regParam [(1 - a)/2 sum_j s_j^2 b_j^2 + a sum_j s_j |b_j|]

    with a = ``elasticNetParam`` and s_j the weighted unbiased standard deviation of column j if ``standardization`` is
    true, else 1. ``loss_i`` is ``log(1 + e^m_i) - y_i m_i`` with ``family="binomial"``, and with ``"multinomial"``
    ``log sum_k e^m_ik - m_i,y_i``, the penalty then being the sum over all K x p coefficients. Intercepts are not
    penalised; a constant column gets the coefficient 0. Multinomial intercepts (and coefficients without a penalty)
    are centred over the classes, as MLlib does, unless there are bounds.

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

    def __init__(self, **params: Unpack[LogisticRegressionSettings]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[LogisticRegressionSettings]) -> LogisticRegression:  # type: ignore[override]
        """Set params by name; returns the object itself."""
        super().setParams(**params)
        return self

    def _rules(self) -> dict[str, Rule]:
        return {
            **super()._rules(),
            "family": one_of_in_any_case("auto", "binomial", "multinomial"),
            "thresholds": THRESHOLDS_RULE,
        }

    def _check_given(self) -> None:
        self._check_contradiction()

    def checkParams(self) -> None:
        """Check the value of every param, and that ``threshold`` and ``thresholds`` do not contradict each other.

        Raises
        ------
        InvalidParamError
            If a value is not allowed.
        """
        super().checkParams()
        self._check_contradiction()

    def _num_classes(self, data: TrainingData) -> int:
        classes = data.num_classes(self.getOrDefault("labelCol"))
        self._check_thresholds(classes)
        if self._loss(classes).num_outputs > 1:
            check_has_features(data.rows.statistics, self._columns())
        return classes

    def _loss(self, classes: int) -> Loss:
        family = self.getOrDefault("family").lower()
        if family == "binomial" or (family == "auto" and classes == 2):
            return LogisticLoss()
        if value_or_none(self, "offsetCol") is not None:
            reason = "the same offset for all classes changes no probability"
            raise IncompatibleError(f"offsetCol cannot be used with a multinomial family: {reason}")
        return MultinomialLoss(classes)

    def _prediction(self, outputs: int) -> Prediction:
        if outputs == 1:
            return ThresholdPrediction.of_probability(self.getThreshold())
        return LargestPrediction(tuple(self.getOrDefault("thresholds")) if self.isSet(self.thresholds) else None)

    def _create_model(self, weights: Array, intercepts: Array, loss: Loss) -> LogisticRegressionModel:
        if loss.num_outputs > 1:
            weights, intercepts = centred(self, weights, intercepts)
        return LogisticRegressionModel(weights, intercepts)
