"""What classifiers tell of a DataFrame, and of the one that they were fitted to."""

from __future__ import annotations

from typing import TypeVar

from sparkgd.kernels.likelihood import GeneralizedLikelihood, Likelihood, MultinomialLikelihood
from sparkgd.losses.families import BinomialFamily
from sparkgd.losses.links import LINKS
from sparkgd.ml.evaluation import BinaryEvaluation, ClassificationEvaluation
from sparkgd.ml.model_summary import InferenceSummary, ModelSummary

SelfT = TypeVar("SelfT")


class LogisticRegressionSummary(ClassificationEvaluation):
    """A logistic regression on a DataFrame with labels."""

    @property
    def probabilityCol(self) -> str:
        """Column of ``predictions`` with the probability of each class."""
        return str(self._model.getOrDefault("probabilityCol"))


class BinaryLogisticRegressionSummary(LogisticRegressionSummary, BinaryEvaluation):
    """The same for two classes."""

    @property
    def scoreCol(self) -> str:
        """Column of ``predictions`` by which curves are drawn."""
        return self.probabilityCol


class LogisticRegressionTrainingSummary(InferenceSummary, LogisticRegressionSummary):
    """The same on the rows that it was fitted to, and how it was fitted.

    It has standard errors where there is no penalty. Those of a multinomial family are about coefficients centred over
    the classes, see `sparkgd.ml.coefficient_errors.MultinomialInference`.
    """

    def _likelihood(self) -> Likelihood:
        outputs = len(self._model._intercepts)
        return (
            MultinomialLikelihood(outputs) if outputs > 1 else GeneralizedLikelihood(BinomialFamily(), LINKS["logit"])
        )


class BinaryLogisticRegressionTrainingSummary(LogisticRegressionTrainingSummary, BinaryLogisticRegressionSummary):
    """The same for two classes."""


class LinearSVCSummary(BinaryEvaluation):
    """A linear support vector machine on a DataFrame with labels."""

    @property
    def scoreCol(self) -> str:
        """Column of ``predictions`` by which curves are drawn."""
        return str(self._model.getOrDefault("rawPredictionCol"))


class LinearSVCTrainingSummary(ModelSummary, LinearSVCSummary):
    """The same on the rows that it was fitted to, and how it was fitted.

    ``model.summary`` and ``model.summary()``, as ``pyspark.ml`` has it for this model alone, are the same.
    """

    def __call__(self: SelfT) -> SelfT:
        """Itself."""
        return self


def logistic_summary(classes: int) -> type[LogisticRegressionSummary]:
    """The kind for so many classes."""
    return BinaryLogisticRegressionSummary if classes == 2 else LogisticRegressionSummary


def logistic_training_summary(classes: int) -> type[LogisticRegressionTrainingSummary]:
    """The kind for so many classes."""
    return BinaryLogisticRegressionTrainingSummary if classes == 2 else LogisticRegressionTrainingSummary


__all__ = [
    "BinaryLogisticRegressionSummary",
    "BinaryLogisticRegressionTrainingSummary",
    "LinearSVCSummary",
    "LinearSVCTrainingSummary",
    "LogisticRegressionSummary",
    "LogisticRegressionTrainingSummary",
]
