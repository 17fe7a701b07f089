"""Negative binomial loss."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, RowDerivative, check_setting
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import sigmoid_slope, softplus_and_sigmoid


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``(y + 1/alpha) / (1 + e^-(z + log alpha)) - y``; alpha is ``parameter``."""
    out[0] = (label + 1.0 / parameter) / (1.0 + exp(min(-raw_prediction[0], 700.0)) / parameter) - label


@dataclass(frozen=True)
class NegativeBinomialLoss(LogLinkLoss):
    """``l(y, z) = (y + 1/alpha) log(1 + alpha e^z) - y z``: counts of mean mu = e^z and variance mu + alpha mu^2.

    Parameters
    ----------
    alpha : float
        Overdispersion, positive; as it goes to zero this becomes the Poisson loss.
    """

    alpha: float = 1.0
    name: ClassVar[str] = "negativeBinomial"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0)

    def __post_init__(self) -> None:
        check_setting(0.0 < self.alpha < np.inf, self.name, "alpha", self.alpha, "positive")

    @property
    def row_parameter(self) -> float:
        return self.alpha

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        factor = label + 1.0 / self.alpha
        value, derivative = softplus_and_sigmoid(raw_prediction + np.log(self.alpha))
        value *= factor
        value -= label * raw_prediction
        derivative *= factor
        derivative -= label
        return value, derivative

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return (label + 1.0 / self.alpha) * sigmoid_slope(raw_prediction + np.log(self.alpha))
