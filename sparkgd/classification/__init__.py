"""Classifiers, under the import paths of ``pyspark.ml.classification``."""

from __future__ import annotations

from sparkgd.classification.gradient_descent import GradientDescentClassifier, GradientDescentClassifierModel
from sparkgd.classification.linear_svc import LinearSVC, LinearSVCModel
from sparkgd.classification.logistic_regression import LogisticRegression, LogisticRegressionModel

__all__ = [
    "GradientDescentClassifier",
    "GradientDescentClassifierModel",
    "LinearSVC",
    "LinearSVCModel",
    "LogisticRegression",
    "LogisticRegressionModel",
]
