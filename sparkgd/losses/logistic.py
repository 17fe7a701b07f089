"""Logistic loss for two classes."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar

import numpy as np
from scipy.special import logit

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, RowDerivative
from sparkgd.losses.numerics import TINY, sigmoid_slope, softplus_and_sigmoid


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``1 / (1 + e^-z) - y``"""
    decay = exp(-abs(raw_prediction[0]))
    out[0] = (1.0 if raw_prediction[0] >= 0.0 else decay) / (1.0 + decay) - label


@dataclass(frozen=True)
class LogisticLoss(Loss):
    """``l(y, z) = log(1 + e^z) - y z`` for labels 0 and 1: the negative log likelihood of a Bernoulli label."""

    name: ClassVar[str] = "logistic"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0, integer=True)
    curvature_bound: ClassVar[float | None] = 0.25

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        value, probability = softplus_and_sigmoid(raw_prediction)
        value -= label * raw_prediction
        probability -= label
        return value, probability

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return sigmoid_slope(raw_prediction)

    def inverse_link(self, raw_prediction: Array) -> Array:
        return softplus_and_sigmoid(raw_prediction)[1]

    def null_intercept(self, label: LabelSummary) -> Array:
        odds = label.mean / max(1.0 - label.mean, TINY)
        return np.array([np.log(max(odds, TINY))])

    def best_prediction(self, label: float) -> Array | None:
        return np.asarray(logit(np.array([label])))

    def typical_curvature(self, label: LabelSummary) -> float:
        if label.low == label.high:  # the null model is at infinity; what keeps a fit from it keeps it near 0
            return 0.25
        # Half of the null model's: a fitted model is surer of itself.
        return max(0.5 * label.mean * (1.0 - label.mean), TINY)
