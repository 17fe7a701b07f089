"""Metrics of regressions."""

from __future__ import annotations

from typing import Any, Literal

from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


class RegressionMetrics:
    """Of a regression.

    Parameters
    ----------
    df : DataFrame
        With ``label``, ``weight`` and ``prediction``.
    has_intercept : bool
        Without one, r2 is that of a regression through the origin.
    """

    def __init__(self, df: DataFrame, has_intercept: bool) -> None:
        self._df, self._has_intercept = df, has_intercept

    def _of(self, name: Literal["rmse", "mse", "r2", "mae", "var"]) -> float:
        judge = RegressionEvaluator(metricName=name, weightCol="weight", throughOrigin=not self._has_intercept)
        return float(judge.evaluate(self._df))

    explainedVariance = property(lambda self: self._of("var"))
    meanAbsoluteError = property(lambda self: self._of("mae"))
    meanSquaredError = property(lambda self: self._of("mse"))
    rootMeanSquaredError = property(lambda self: self._of("rmse"))
    r2 = property(lambda self: self._of("r2"))
    numInstances = property(lambda self: self._df.count())

    @property
    def devianceResiduals(self) -> list[float]:
        """Least and largest residual, times the root of the weight."""
        residual = (F.col("label") - F.col("prediction")) * F.sqrt("weight")
        row: Any = self._df.select(F.min(residual), F.max(residual)).first()
        return [row[0], row[1]]
