"""Losses as test parameters, among them one with several outputs and full curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses import LabelRange, LabelSummary, LogisticLoss, Loss, SquaredLoss
from sparkgd.losses.base import Array


@dataclass(frozen=True)
class Softmax3(Loss):
    """``-log softmax(z)_y`` for three classes, written for tests only."""

    name: ClassVar[str] = "softmax3"
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 2.0, integer=True)
    curvature_bound: float | None = 0.5

    @property
    def num_outputs(self) -> int:
        return 3

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        p = self.inverse_link(raw_prediction)
        hot = np.asarray(label)[..., None] == np.arange(3)
        return -np.log(np.sum(p * hot, axis=-1)), p - hot

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        p = self.inverse_link(raw_prediction)
        return p[..., :, None] * np.eye(3) - p[..., :, None] * p[..., None, :]

    def inverse_link(self, raw_prediction: Array) -> Array:
        e = np.exp(raw_prediction - raw_prediction.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True))

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.log([label.class_weights[k] / label.weight_sum for k in range(3)])


LOSSES: list[Loss] = [LogisticLoss(), SquaredLoss(), Softmax3()]
"""Parameters for laws of the layers above losses: one and many outputs, bounded and constant curvature."""


def loss_id(loss: Loss) -> str:
    """Name of a test parameter."""
    return loss.name
