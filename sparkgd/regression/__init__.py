"""Regressors, under the import paths of ``pyspark.ml.regression``."""

from __future__ import annotations

from sparkgd.regression.generalized_linear_regression import (
    GeneralizedLinearRegression,
    GeneralizedLinearRegressionModel,
)
from sparkgd.regression.gradient_descent import GradientDescentRegressor, GradientDescentRegressorModel
from sparkgd.regression.linear_regression import LinearRegression, LinearRegressionModel

__all__ = [
    "GeneralizedLinearRegression",
    "GeneralizedLinearRegressionModel",
    "GradientDescentRegressor",
    "GradientDescentRegressorModel",
    "LinearRegression",
    "LinearRegressionModel",
]
