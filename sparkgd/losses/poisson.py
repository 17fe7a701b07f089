"""Poisson loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from sparkgd.losses.base import Array, LabelRange, RowDerivative
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import exp


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``e^z - y``"""
    out[0] = math.exp(min(raw_prediction[0], 700.0)) - label


@dataclass(frozen=True)
class PoissonLoss(LogLinkLoss):
    """``l(y, z) = e^z - y z``: the negative log likelihood of a count with mean ``e^z``."""

    name: ClassVar[str] = "poisson"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        mean = exp(raw_prediction)
        return mean - label * raw_prediction, mean - label

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return exp(raw_prediction)
