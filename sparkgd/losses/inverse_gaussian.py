"""Inverse Gaussian loss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, RowDerivative
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import exp


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``e^-z (1 - y e^-z)``"""
    inverse = math.exp(min(-raw_prediction[0], 350.0))
    out[0] = inverse * (1.0 - label * inverse)


@dataclass(frozen=True)
class InverseGaussianLoss(LogLinkLoss):
    """``l(y, z) = y e^-2z / 2 - e^-z`` for positive labels with mean ``e^z`` and variance its cube; not convex."""

    name: ClassVar[str] = "inverseGaussian"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, low_open=True)
    is_convex: ClassVar[bool] = False

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        inverse = exp(-raw_prediction)
        with np.errstate(over="ignore"):
            ratio = label * inverse
            return inverse * (0.5 * ratio - 1.0), inverse * (1.0 - ratio)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        inverse = exp(-raw_prediction)
        with np.errstate(over="ignore"):
            return inverse * (2.0 * label * inverse - 1.0)
