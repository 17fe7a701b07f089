"""How well a model does on a DataFrame: MLlib's own metrics, of the genuine model."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
from pyspark.errors import UnsupportedOperationException
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd.exceptions import NoTrainingRowsError
from sparkgd.losses.families import Family
from sparkgd.losses.links import Link
from sparkgd.ml.columns import input_columns, select_labelled
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.exchange import MLlibTwin, mllib_model_of
from sparkgd.ml.metrics.classes import BinaryMetrics, ClassMetrics
from sparkgd.ml.metrics.deviance import DevianceMetrics
from sparkgd.ml.metrics.regression import RegressionMetrics
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.scoring import has_jvm, quoted, told

PLAIN = {
    "featuresCol": "features", "labelCol": "label", "weightCol": "weight", "predictionCol": "prediction",
    "rawPredictionCol": "raw", "probabilityCol": "probability", "linkPredictionCol": "eta",
}  # fmt: skip
"""Names of columns in what MLlib evaluates, which are ours to choose."""


class Metric(property):
    """A number or a list of them that MLlib's summary has under the same name; it is remembered once it is known."""


def metric(name: str, doc: str) -> Any:
    """A `Metric`."""
    return Metric(lambda self: self._metric(name), doc=doc)


def table(name: str, doc: str) -> Any:
    """A property that is a DataFrame, which MLlib's summary has under the same name."""
    return property(lambda self: getattr(self._of_mllib, name), doc=doc)


class Evaluation:
    """A fitted model on a DataFrame with labels; metrics are computed when they are asked for.

    Parameters
    ----------
    model : MLlibTwin
    dataset : DataFrame or None
        None if the rows are gone: then it knows what it was asked when it had them.
    """

    def __init__(self, model: MLlibTwin, dataset: DataFrame | None) -> None:
        self._model, self._dataset = model, dataset
        self._known: dict[str, Any] = {}

    @property
    def predictions(self) -> DataFrame:
        """The DataFrame with the columns that ``transform`` adds."""
        return self._model.transform(self._rows())

    def _rows(self) -> DataFrame:
        """The rows.

        Raises
        ------
        NoTrainingRowsError
            If they are gone.
        """
        if self._dataset is None:
            raise NoTrainingRowsError(
                f"the summary of a loaded {type(self._model).__name__} knows what it had been asked before the model "
                "was saved; the rows of the fit are gone. model.evaluate(df) asks those of any DataFrame, and "
                "write().option('persistSummary', 'all') saves every number that a summary can tell"
            )
        return self._dataset

    def _metric(self, name: str, *options: float) -> Any:
        """A metric of MLlib's, which is computed once."""
        key = f"{name}({', '.join(map(repr, options))})" if options else name
        if key not in self._known:
            found = getattr(self._of_mllib, name)
            found = found(*options) if options else found
            self._known[key] = found if np.ndim(found) == 0 else list(found)
        return self._known[key]

    def _ask_metrics(self) -> None:
        """Have all metrics computed that there are."""
        for kind in type(self).__mro__:
            for name in [name for name, value in vars(kind).items() if isinstance(value, Metric)]:
                with suppress(UnsupportedOperationException, IncompatibleError):  # tweedie has no AIC
                    getattr(self, name)

    @property
    def predictionCol(self) -> str:
        """Column of ``predictions`` with the predictions."""
        return str(self._model.getOrDefault("predictionCol"))

    @property
    def labelCol(self) -> str:
        """Column of ``predictions`` with the labels."""
        return str(self._model.getOrDefault("labelCol"))

    @property
    def featuresCol(self) -> str:
        """Column of ``predictions`` with the features; unused where ``featuresCols`` name several."""
        return str(self._model.getOrDefault("featuresCol"))

    @property
    def weightCol(self) -> str | None:
        """Column of ``predictions`` with the weights; None where every row counts once."""
        return value_or_none(self._model, "weightCol") or None

    @cached_property
    def _of_mllib(self) -> Any:
        """MLlib's summary of its own model on the same rows under plain names; the like of it where there is none."""
        return self._summary_of_mllib() if has_jvm() else self._metrics()

    @abstractmethod
    def _metrics(self) -> Any:
        """Metrics of what ``transform`` adds to the rows, under MLlib's names."""

    def _scored(self) -> DataFrame:
        """The rows as the model scores them, under plain names."""
        columns = input_columns(self._model)
        df = select_labelled(self._rows(), columns)
        if columns.weight is None:
            df = df.withColumn("weight", F.lit(1.0))
        model = self._model.copy()
        for name, column in {**PLAIN, "offsetCol": "offset"}.items():
            if model.hasParam(name) and (name != "offsetCol" or columns.offset is not None):
                model.set(model.getParam(name), column)
        model.clear(model.getParam("featuresCols"))
        return model.transform(df)

    def _summary_of_mllib(self) -> Any:
        model, columns = self._model, input_columns(self._model)
        df = select_labelled(self._rows(), columns)
        twin: Any = mllib_model_of(model)
        if columns.offset is not None and not twin.hasParam("offsetCol"):
            # MLlib's model adds no offset: here it is a feature more, with the coefficient 1.
            df = VectorAssembler(inputCols=["features", "offset"], outputCol="wide").transform(df)
            df = df.drop("features").withColumnRenamed("wide", "features")
            model = model.copy()
            model._weights = np.column_stack([model._weights, np.ones(len(model._weights))])
            twin = mllib_model_of(model)
        for name, column in PLAIN.items():
            if twin.hasParam(name):
                twin.set(twin.getParam(name), column)
        if columns.weight is None:
            twin.clear(twin.getParam("weightCol"))
        if columns.offset is not None and twin.hasParam("offsetCol"):
            twin.set(twin.getParam("offsetCol"), "offset")
        return told(twin).evaluate(df)


class ClassificationEvaluation(Evaluation):
    """A classifier on a DataFrame with labels: what the ``pyspark.ml`` summaries of classifiers tell."""

    def _metrics(self) -> Any:
        return ClassMetrics(self._scored())

    labels = metric("labels", "The labels that occur, ascending; lists by label are in this order.")
    accuracy = metric("accuracy", "Share of the rows, by weight, whose label is predicted.")
    truePositiveRateByLabel = metric("truePositiveRateByLabel", "Share of the rows of a label that are found.")
    falsePositiveRateByLabel = metric("falsePositiveRateByLabel", "Share of the other rows that are taken for it.")
    precisionByLabel = metric("precisionByLabel", "Share of the rows taken for a label that have it.")
    recallByLabel = metric("recallByLabel", "Share of the rows of a label that are found.")
    weightedTruePositiveRate = metric("weightedTruePositiveRate", "Mean true positive rate, by weight of labels.")
    weightedFalsePositiveRate = metric("weightedFalsePositiveRate", "Mean false positive rate, by weight of labels.")
    weightedRecall = metric("weightedRecall", "Mean recall, by weight of labels.")
    weightedPrecision = metric("weightedPrecision", "Mean precision, by weight of labels.")

    def _ask_metrics(self) -> None:
        super()._ask_metrics()
        self.fMeasureByLabel()
        self.weightedFMeasure()

    def fMeasureByLabel(self, beta: float = 1.0) -> list[float]:
        """F-measure of each label."""
        return list(self._metric("fMeasureByLabel", beta))

    def weightedFMeasure(self, beta: float = 1.0) -> float:
        """Mean F-measure, by weight of labels."""
        return float(self._metric("weightedFMeasure", beta))


class BinaryEvaluation(ClassificationEvaluation):
    """A classifier of two classes: curves over all thresholds, as DataFrames."""

    def _metrics(self) -> Any:
        score = "probability" if self._model.hasParam("probabilityCol") else "raw"
        return BinaryMetrics(self._scored().withColumn("score", vector_to_array(F.col(score))[1]))

    areaUnderROC = metric("areaUnderROC", "Area under the ROC curve.")
    roc = table("roc", "The ROC curve: a DataFrame of ``FPR`` and ``TPR``.")
    pr = table("pr", "The precision-recall curve: a DataFrame of ``recall`` and ``precision``.")
    fMeasureByThreshold = table("fMeasureByThreshold", "A DataFrame of ``threshold`` and ``F-Measure``.")
    precisionByThreshold = table("precisionByThreshold", "A DataFrame of ``threshold`` and ``precision``.")
    recallByThreshold = table("recallByThreshold", "A DataFrame of ``threshold`` and ``recall``.")


class RegressionEvaluation(Evaluation):
    """A linear regression on a DataFrame with labels: what ``pyspark.ml``'s summary tells."""

    def _metrics(self) -> Any:
        return RegressionMetrics(self._scored(), bool(self._model.getOrDefault("fitIntercept")))

    explainedVariance = metric("explainedVariance", "Mean squared distance of predictions from the labels' mean.")
    meanAbsoluteError = metric("meanAbsoluteError", "Mean absolute residual.")
    meanSquaredError = metric("meanSquaredError", "Mean squared residual.")
    rootMeanSquaredError = metric("rootMeanSquaredError", "Its square root.")
    r2 = metric("r2", "Share of the labels' variance that is explained.")
    numInstances = metric("numInstances", "Number of rows.")
    devianceResiduals = metric("devianceResiduals", "Least and largest residual, times the root of the weight.")

    @property
    def r2adj(self) -> float:
        """r2, adjusted for the number of coefficients."""
        mean = int(self._model.getOrDefault("fitIntercept"))
        return float(1.0 - (1.0 - self.r2) * (self.numInstances - mean) / self.degreesOfFreedom)

    @property
    def degreesOfFreedom(self) -> int:
        """Rows less coefficients, the intercept included."""
        return int(self.numInstances - self._model.numFeatures - self._model.getOrDefault("fitIntercept"))

    @property
    def residuals(self) -> DataFrame:
        """Labels less predictions: a DataFrame of one column, ``residuals``."""
        residual = quoted(self.labelCol) - quoted(self.predictionCol)
        return self.predictions.select(residual.alias("residuals"))


class DevianceEvaluation(Evaluation):
    """A generalized linear regression on a DataFrame with labels: what ``pyspark.ml``'s summary tells."""

    def _metrics(self) -> Any:
        model, has_mean, scored = self._model, bool(self._model.getOrDefault("fitIntercept")), self._scored()
        family, link = self._family_and_link()
        null_mean = None
        if not value_or_none(model, "offsetCol"):
            row: Any = scored.select(F.sum(F.col("label") * F.col("weight")) / F.sum("weight")).first()
            null_mean = F.lit(float(row[0] if has_mean else link.inverse(np.zeros(1))[0]))
        return DevianceMetrics(scored, family, link, model.numFeatures + has_mean, null_mean)

    def _family_and_link(self) -> tuple[Family, Link]:
        """Of the model."""
        raise NotImplementedError

    numInstances = metric("numInstances", "Number of rows.")
    rank = metric("rank", "Number of coefficients, the intercept included.")
    degreesOfFreedom = metric("degreesOfFreedom", "Rows less rank.")
    residualDegreeOfFreedom = metric("residualDegreeOfFreedom", "Rows less rank.")
    residualDegreeOfFreedomNull = metric("residualDegreeOfFreedomNull", "The same of the model without features.")
    nullDeviance = metric("nullDeviance", "Deviance of the model without features.")
    deviance = metric("deviance", "Deviance of the model.")
    dispersion = metric("dispersion", "1 for binomial and poisson, else Pearson's statistic by degrees of freedom.")
    aic = metric("aic", "Akaike's information criterion.")

    def residuals(self, residualsType: str = "deviance") -> DataFrame:
        """Residuals of a type: ``deviance``, ``pearson``, ``working`` or ``response``."""
        allowed = ("deviance", "pearson", "working", "response")
        if residualsType not in allowed:
            raise InvalidParamError(f"residualsType={residualsType!r} is not allowed; give one of {', '.join(allowed)}")
        residuals: DataFrame = self._of_mllib.residuals(residualsType)
        return residuals
