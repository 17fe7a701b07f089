"""Gamma loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, RowDerivative
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import exp


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``1 - y e^-z``"""
    out[0] = 1.0 - label * math.exp(min(-raw_prediction[0], 700.0))


@dataclass(frozen=True)
class GammaLoss(LogLinkLoss):
    """``l(y, z) = y e^-z + z`` for positive labels: the likelihood of a gamma distribution with mean ``e^z``."""

    name: ClassVar[str] = "gamma"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, low_open=True)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        ratio = self.curvature(label, raw_prediction)
        return ratio + raw_prediction, 1.0 - ratio

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        with np.errstate(over="ignore"):
            return label * exp(-raw_prediction)
