"""The metrics of ``pyspark.ml.evaluation``, computed from packed rows instead of scored DataFrames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    Evaluator,
    MulticlassClassificationEvaluator,
    RegressionEvaluator,
)

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels.measures import ConfusionMeasure, ErrorMeasure, LogLossMeasure
from sparkgd.kernels.predictions import RawPrediction
from sparkgd.ml.estimator import LinearEstimator
from sparkgd.ml.params.shared import value_or_none
from sparkgd.problems.problem import Problem
from sparkgd.questions.base import KernelQuestion
from sparkgd.questions.held_out_scores import HeldOutScoresQuestion
from sparkgd.questions.held_out_totals import HeldOutTotalsQuestion
from sparkgd.training.outline import TrainingSet
from sparkgd.tuning.formulas import area_under_curve, class_metric, error_metric, log_loss

Array: TypeAlias = npt.NDArray[np.float64]
AnyEstimator: TypeAlias = LinearEstimator[Any]

ERRORS = ("rmse", "mse", "r2", "mae", "var")
AREAS = ("areaUnderROC", "areaUnderPR")
BY_CLASS = ("Precision", "Recall", "TruePositiveRate", "FalsePositiveRate", "FMeasure")
CLASS_METRICS = {
    "f1", "accuracy", "hammingLoss", "logLoss",
    *(f"weighted{kind}" for kind in BY_CLASS), *(f"{kind[0].lower()}{kind[1:]}ByLabel" for kind in BY_CLASS),
}  # fmt: skip


class Metric(Protocol):
    """A metric of the rows that a model holds out, as an evaluator has it of the scored rows.

    Attributes
    ----------
    needs_rows : bool
        Whether it must see the rows themselves; else those that have the same first and second moments will do.
    """

    @property
    def needs_rows(self) -> bool:
        """See above."""
        ...

    def question(self, problem: Problem, coef: Array, rows: TrainingSet) -> KernelQuestion:
        """What to ask of the rows about the problem of a fitted model.

        Parameters
        ----------
        problem : Problem
            Holds out the fold whose rows are to be judged.
        coef : ndarray (size,)
            The fitted one, raw.
        rows : TrainingSet
            All rows: their number, and statistics of those trained on.
        """
        ...

    def value(self, reply: Any) -> float:
        """The metric from the reply to the question; nan where the evaluator would raise an error."""
        ...


def metric_of(evaluator: Evaluator, estimator: AnyEstimator) -> Metric | None:
    """The metric that an evaluator would compute of rows scored by a model of the estimator.

    Parameters
    ----------
    evaluator : Evaluator
    estimator : LinearEstimator
        With the params of the model.

    Returns
    -------
    Metric or None
        None: the packed rows do not hold what the evaluator asks for, or it is not one of pyspark's own.
    """
    weighing = _weighing(evaluator, estimator)
    if weighing is None or not _is_same_column("labelCol", evaluator, estimator):
        return None
    if type(evaluator) is RegressionEvaluator:
        return _error_metric(evaluator, estimator, weighing)
    if not _is_classifier(estimator):
        return None
    if type(evaluator) is MulticlassClassificationEvaluator:
        return _class_metric(evaluator, estimator, weighing)
    if type(evaluator) is BinaryClassificationEvaluator:
        return _area_metric(evaluator, estimator, weighing)
    return None


@dataclass(frozen=True)
class _Weighing:
    """How an evaluator weighs rows.

    Attributes
    ----------
    is_weighted : bool
        Whether it has a weight column.
    by_block : bool
        Whether a row's weight is that of the block; else every row counts 1.
    """

    is_weighted: bool
    by_block: bool


def _weighing(evaluator: Evaluator, estimator: AnyEstimator) -> _Weighing | None:
    """How the evaluator weighs rows, None if the blocks do not hold such weights."""
    wanted, packed = (value_or_none(instance, "weightCol") or None for instance in (evaluator, estimator))
    has_class_weights = value_or_none(estimator, "classWeight") is not None
    if wanted is None:
        return _Weighing(False, by_block=packed is None and not has_class_weights)
    return _Weighing(True, by_block=True) if wanted == packed and not has_class_weights else None


def _is_same_column(name: str, evaluator: Evaluator, estimator: AnyEstimator, of_model: str = "") -> bool:
    """Whether the evaluator reads the column that the estimator's param of that name, or ``of_model``, names."""
    column = value_or_none(estimator, of_model or name)
    return bool(column) and value_or_none(evaluator, name) == column


def _is_classifier(estimator: AnyEstimator) -> bool:
    return estimator.hasParam("rawPredictionCol")


@dataclass(frozen=True)
class ErrorMetric:
    """A metric of ``RegressionEvaluator``."""

    name: str
    estimator: AnyEstimator
    weighing: _Weighing
    through_origin: bool

    @property
    def needs_rows(self) -> bool:
        """Moments suffice for squares of raw predictions, unless the rows' squared weights have to be known too."""
        is_square = self.name != "mae" and not (self.name == "r2" and self.weighing.is_weighted)
        is_raw = not _is_classifier(self.estimator) and isinstance(self.estimator._prediction(1), RawPrediction)
        return not (is_square and is_raw and self.weighing.by_block)

    def question(self, problem: Problem, coef: Array, rows: TrainingSet) -> KernelQuestion:
        """See `Metric`."""
        prediction = self.estimator._prediction(problem.layout.num_linear)
        measure = ErrorMeasure(prediction, rows.statistics.label_mean)
        return HeldOutTotalsQuestion(coef, self.weighing.by_block, measure)

    def value(self, reply: Any) -> float:
        """See `Metric`."""
        return error_metric(self.name, reply.values, self.through_origin, self.weighing.is_weighted)


def _error_metric(evaluator: Evaluator, estimator: AnyEstimator, weighing: _Weighing) -> Metric | None:
    name = evaluator.getOrDefault("metricName")
    if name not in ERRORS or not _is_same_column("predictionCol", evaluator, estimator):
        return None
    return ErrorMetric(name, estimator, weighing, evaluator.getOrDefault("throughOrigin"))


@dataclass(frozen=True)
class ClassMetric:
    """A metric of ``MulticlassClassificationEvaluator`` that a confusion matrix tells."""

    name: str
    estimator: AnyEstimator
    by_block: bool
    label: float
    beta: float
    needs_rows: ClassVar[bool] = True

    def question(self, problem: Problem, coef: Array, rows: TrainingSet) -> KernelQuestion:
        """See `Metric`."""
        outputs = problem.layout.num_linear
        measure = ConfusionMeasure(self.estimator._prediction(outputs), max(outputs, 2))
        return HeldOutTotalsQuestion(coef, self.by_block, measure)

    def value(self, reply: Any) -> float:
        """See `Metric`."""
        return class_metric(self.name, reply.values, reply.measure.classes, self.label, self.beta)


@dataclass(frozen=True)
class LogLossMetric:
    """``logLoss`` of ``MulticlassClassificationEvaluator``."""

    by_block: bool
    eps: float
    needs_rows: ClassVar[bool] = True

    def question(self, problem: Problem, coef: Array, rows: TrainingSet) -> KernelQuestion:
        """See `Metric`."""
        return HeldOutTotalsQuestion(coef, self.by_block, LogLossMeasure(self.eps))

    def value(self, reply: Any) -> float:
        """See `Metric`."""
        return log_loss(reply.values)


def _class_metric(evaluator: Evaluator, estimator: AnyEstimator, weighing: _Weighing) -> Metric | None:
    name, label, beta, eps = (evaluator.getOrDefault(each) for each in ("metricName", "metricLabel", "beta", "eps"))
    is_valid = name in CLASS_METRICS and label >= 0.0 and label.is_integer() and beta > 0.0 and 0.0 < eps < 0.5
    if not is_valid or not _is_same_column("predictionCol", evaluator, estimator):
        return None  # pyspark's own will say what is wrong
    if name != "logLoss":
        return ClassMetric(name, estimator, weighing.by_block, label, beta)
    has_column = _is_same_column("probabilityCol", evaluator, estimator)
    return LogLossMetric(weighing.by_block, eps) if has_column else None


@dataclass(frozen=True)
class AreaMetric:
    """A metric of ``BinaryClassificationEvaluator``."""

    name: str
    estimator: AnyEstimator
    by_block: bool
    by_probability: bool
    bins: int
    needs_rows: ClassVar[bool] = True

    def question(self, problem: Problem, coef: Array, rows: TrainingSet) -> KernelQuestion:
        """See `Metric`.

        Raises
        ------
        IncompatibleError
            If there are more than two classes, which is known only now.
        """
        layout = problem.layout
        if layout.num_outputs > 2:
            raise IncompatibleError(f"{self.name} is a metric of two classes; the model has {layout.num_outputs}")
        if layout.num_outputs > 1:  # raw predictions are those of the model, whose coefs of all classes are shifted
            model = self.estimator._create_model(layout.weights(coef), layout.intercepts(coef), problem.loss)
            coef = layout.pack(model._weights, model._intercepts)
        return HeldOutScoresQuestion(coef, self.by_block, rows.count, self.by_probability)

    def value(self, reply: Any) -> float:
        """See `Metric`."""
        return area_under_curve(self.name, reply, self.bins)


def _area_metric(evaluator: Evaluator, estimator: AnyEstimator, weighing: _Weighing) -> Metric | None:
    name, bins = evaluator.getOrDefault("metricName"), evaluator.getOrDefault("numBins")
    by_raw = _is_same_column("rawPredictionCol", evaluator, estimator)
    by_probability = _is_same_column("rawPredictionCol", evaluator, estimator, of_model="probabilityCol")
    if name not in AREAS or bins < 0 or by_raw == by_probability:
        return None
    return AreaMetric(name, estimator, weighing.by_block, by_probability, bins)
