"""Logistic loss for two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss


@dataclass(frozen=True)
class LogisticLoss(Loss):
    """``l(y, z) = log(1 + e^z) - y z`` for labels 0 and 1: the negative log likelihood of a Bernoulli label.

    Evaluated through ``t = e^-|z|``, which cannot overflow: ``log(1 + e^z) = max(z, 0) + log1p(t)``.
    """

    name: ClassVar[str] = "logistic"
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0, integer=True)
    curvature_bound: float | None = 0.25

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        decay = np.exp(-np.abs(raw_prediction))
        value = np.log1p(decay)
        value += np.maximum(raw_prediction, 0.0)
        value -= label * raw_prediction
        probability = np.where(raw_prediction >= 0.0, 1.0, decay)
        probability /= 1.0 + decay
        probability -= label
        return value, probability

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        decay = np.exp(-np.abs(raw_prediction))
        return decay / (1.0 + decay) ** 2

    def inverse_link(self, raw_prediction: Array) -> Array:
        decay = np.exp(-np.abs(raw_prediction))
        return np.where(raw_prediction >= 0.0, 1.0, decay) / (1.0 + decay)

    def null_intercept(self, label: LabelSummary) -> Array:
        odds = label.mean / max(1.0 - label.mean, np.finfo(float).tiny)
        return np.array([np.log(max(odds, np.finfo(float).tiny))])
