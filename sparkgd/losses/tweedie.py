"""Tweedie losses: the variance is a power of the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, Loss, RowDerivative, check_setting
from sparkgd.losses.gamma import GammaLoss
from sparkgd.losses.inverse_gaussian import InverseGaussianLoss
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import exp
from sparkgd.losses.poisson import PoissonLoss


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``e^((2-p)z) - y e^((1-p)z)``; p is ``parameter``."""
    z = raw_prediction[0]
    out[0] = math.exp(min((2.0 - parameter) * z, 700.0)) - label * math.exp(min((1.0 - parameter) * z, 700.0))


@dataclass(frozen=True)
class TweedieLoss(LogLinkLoss):
    """``l(y, z) = y e^((1-p)z) / (p-1) + e^((2-p)z) / (2-p)``, for a mean ``e^z`` and a variance of its power p.

    For 1 < p < 2 a sum of a Poisson number of gamma amounts: labels of zero and above. Jorgensen, "Exponential
    dispersion models" (1987).

    Parameters
    ----------
    power : float
        p, strictly between 1 and 2. `tweedie_loss` makes the losses of other powers.
    """

    power: float = 1.5
    name: ClassVar[str] = "tweedie"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0)

    def __post_init__(self) -> None:
        check_setting(1.0 < self.power < 2.0, self.name, "power", self.power, "strictly between 1 and 2")

    @property
    def row_parameter(self) -> float:
        return self.power

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        drop, rise = self._terms(label, raw_prediction)
        value = drop / (self.power - 1.0) + rise / (2.0 - self.power)
        return value, np.subtract(rise, drop, out=rise)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        drop, rise = self._terms(label, raw_prediction)
        return (self.power - 1.0) * drop + (2.0 - self.power) * rise

    def _terms(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        """``y e^((1-p)z)``, with y inside the exponent so that 0 times inf is 0, and ``e^((2-p)z)``."""
        with np.errstate(divide="ignore"):
            log_label = np.log(label)
        return exp((1.0 - self.power) * raw_prediction + log_label), exp((2.0 - self.power) * raw_prediction)


@dataclass(frozen=True)
class HeavyTweedieLoss(LogLinkLoss):
    """The Tweedie loss of a power above 2: positive labels, heavy tails; not convex under the log link.

    Evaluated as ``e^((2-p)z) (y e^-z / (p-1) - 1 / (p-2))``.

    Parameters
    ----------
    power : float
        p, above 2.
    """

    power: float = 3.0
    name: ClassVar[str] = "tweedie"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    label_range: ClassVar[LabelRange] = LabelRange(0.0, low_open=True)
    is_convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_setting(2.0 < self.power < np.inf, self.name, "power", self.power, "above 2")

    @property
    def row_parameter(self) -> float:
        return self.power

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        scale, ratio = exp((2.0 - self.power) * raw_prediction), label * exp(-raw_prediction)
        with np.errstate(over="ignore"):
            value = scale * (ratio / (self.power - 1.0) - 1.0 / (self.power - 2.0))
            return value, scale * (1.0 - ratio)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        scale, ratio = exp((2.0 - self.power) * raw_prediction), label * exp(-raw_prediction)
        with np.errstate(over="ignore"):
            return scale * ((self.power - 1.0) * ratio - (self.power - 2.0))


def tweedie_loss(power: float) -> Loss:
    """The log-link loss whose variance is the mean to ``power``: Poisson 1, gamma 2, inverse Gaussian 3.

    Raises
    ------
    InvalidParamError
        If the power is below 1, where no such distribution has positive means.
    """
    named: dict[float, Loss] = {1.0: PoissonLoss(), 2.0: GammaLoss(), 3.0: InverseGaussianLoss()}
    if power in named:
        return named[power]
    check_setting(1.0 <= power < np.inf, TweedieLoss.name, "power", power, "1 or above")
    return TweedieLoss(power) if power < 2.0 else HeavyTweedieLoss(power)
