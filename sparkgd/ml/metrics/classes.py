"""Metrics of classifiers."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

Array: TypeAlias = npt.NDArray[np.float64]


class ClassMetrics:
    """Of a classifier: what follows from the weight of each pair of label and prediction.

    Parameters
    ----------
    df : DataFrame
        With ``label``, ``weight`` and ``prediction``.
    """

    def __init__(self, df: DataFrame) -> None:
        self._df = df

    @cached_property
    def _weights(self) -> dict[tuple[float, float], float]:
        """By label and prediction."""
        rows = self._df.groupBy("label", "prediction").agg(F.sum("weight").alias("weight")).collect()
        return {(row.label, row.prediction): row.weight for row in rows}

    def _sums(self, chosen: Any) -> Array:
        """Weight of the pairs that are chosen for each label."""
        pairs = self._weights.items()
        return np.array([sum(w for pair, w in pairs if chosen(label, *pair)) for label in self.labels])

    @property
    def labels(self) -> list[float]:
        """The labels that occur, ascending."""
        return sorted({label for label, _ in self._weights})

    @property
    def _count(self) -> Array:
        return self._sums(lambda each, label, prediction: label == each)

    @property
    def _hits(self) -> Array:
        return self._sums(lambda each, label, prediction: label == prediction == each)

    @property
    def _misses(self) -> Array:
        return self._sums(lambda each, label, prediction: prediction == each != label)

    def _mean(self, by_label: list[float]) -> float:
        """Weighted by how many rows have each label."""
        return float(self._count @ np.array(by_label) / self._count.sum())

    @property
    def accuracy(self) -> float:
        """Share of the rows whose label is predicted."""
        return float(self._hits.sum() / self._count.sum())

    @property
    def recallByLabel(self) -> list[float]:
        """Share of the rows of a label that are found."""
        return _ratio(self._hits, self._count)

    truePositiveRateByLabel = recallByLabel

    @property
    def falsePositiveRateByLabel(self) -> list[float]:
        """Share of the other rows that are taken for it."""
        return _ratio(self._misses, self._count.sum() - self._count)

    @property
    def precisionByLabel(self) -> list[float]:
        """Share of the rows taken for a label that have it."""
        return _ratio(self._hits, self._hits + self._misses)

    def fMeasureByLabel(self, beta: float = 1.0) -> list[float]:
        """``(1 + beta^2) precision recall / (beta^2 precision + recall)``."""
        precision, recall = np.array(self.precisionByLabel), np.array(self.recallByLabel)
        return _ratio((1.0 + beta**2) * precision * recall, beta**2 * precision + recall)

    @property
    def weightedRecall(self) -> float:
        """Mean recall."""
        return self._mean(self.recallByLabel)

    weightedTruePositiveRate = weightedRecall

    @property
    def weightedFalsePositiveRate(self) -> float:
        """Mean false positive rate."""
        return self._mean(self.falsePositiveRateByLabel)

    @property
    def weightedPrecision(self) -> float:
        """Mean precision."""
        return self._mean(self.precisionByLabel)

    def weightedFMeasure(self, beta: float = 1.0) -> float:
        """Mean F-measure."""
        return self._mean(self.fMeasureByLabel(beta))


class BinaryMetrics(ClassMetrics):
    """The same for two classes, with curves over every threshold, where MLlib's summaries take about a thousand.

    Parameters
    ----------
    df : DataFrame
        With a column ``score`` too.
    """

    @property
    def areaUnderROC(self) -> float:
        """Area under the ROC curve."""
        judge = BinaryClassificationEvaluator(rawPredictionCol="score", weightCol="weight", numBins=0)
        return float(judge.evaluate(self._df))

    @property
    def _curve(self) -> DataFrame:
        """Weights of positive and negative rows at or above each threshold, the highest first, and of all."""
        positive = F.when(F.col("label") > 0.5, F.col("weight")).otherwise(0.0)
        counts = self._df.select("score", positive.alias("p"), (F.col("weight") - positive).alias("n"))
        counts = counts.groupBy("score").agg(F.sum("p").alias("p"), F.sum("n").alias("n"))
        above = Window.orderBy(F.desc("score"))
        everything = Window.orderBy(F.desc("score")).rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
        return counts.select(
            F.col("score").alias("threshold"),
            *[F.sum(name).over(above).alias(name) for name in ("p", "n")],
            *[F.sum(name).over(everything).alias(f"all {name}") for name in ("p", "n")],
        )

    def _points(self, columns: dict[str, Column], first: DataFrame | None, last: DataFrame | None) -> DataFrame:
        points = self._curve.select(*[column.alias(name) for name, column in columns.items()])
        points = points if first is None else first.unionByName(points)
        return points if last is None else points.unionByName(last)

    @property
    def roc(self) -> DataFrame:
        """The ROC curve: ``FPR`` and ``TPR``."""
        ends = [_row(self._df, FPR=end, TPR=end) for end in (0.0, 1.0)]
        return self._points({"FPR": _share("n", "all n"), "TPR": _share("p", "all p")}, *ends)

    @property
    def pr(self) -> DataFrame:
        """The precision-recall curve: ``recall`` and ``precision``."""
        columns = {"recall": _share("p", "all p"), "precision": _precision()}
        highest = self._curve.orderBy(F.desc("threshold")).limit(1)
        return self._points(columns, highest.select(F.lit(0.0).alias("recall"), _precision().alias("precision")), None)

    @property
    def precisionByThreshold(self) -> DataFrame:
        """``threshold`` and ``precision``."""
        return self._points({"threshold": F.col("threshold"), "precision": _precision()}, None, None)

    @property
    def recallByThreshold(self) -> DataFrame:
        """``threshold`` and ``recall``."""
        return self._points({"threshold": F.col("threshold"), "recall": _share("p", "all p")}, None, None)

    @property
    def fMeasureByThreshold(self) -> DataFrame:
        """``threshold`` and ``F-Measure``."""
        recall, precision = _share("p", "all p"), _precision()
        both = F.when(precision + recall == 0.0, 0.0).otherwise(2.0 * precision * recall / (precision + recall))
        return self._points({"threshold": F.col("threshold"), "F-Measure": both}, None, None)


def _ratio(numerator: Array, denominator: Array) -> list[float]:
    """0 for 0 / 0."""
    found = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0.0)
    return [float(value) for value in found]


def _share(part: str, whole: str) -> Column:
    return F.when(F.col(whole) == 0.0, 0.0).otherwise(F.col(part) / F.col(whole))


def _precision() -> Column:
    return F.col("p") / (F.col("p") + F.col("n"))


def _row(df: DataFrame, **values: float) -> DataFrame:
    return df.sparkSession.range(1).select(*[F.lit(value).alias(name) for name, value in values.items()])
