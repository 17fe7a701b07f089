"""Regressors, under the import paths of ``pyspark.ml.regression``."""

from __future__ import annotations

from sparkgd.regression.linear_regression import LinearRegression, LinearRegressionModel

__all__ = ["LinearRegression", "LinearRegressionModel"]
