"""Families of generalized linear models: how the variance depends on the mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from sparkgd.losses.base import Array, LabelRange, check_setting
from sparkgd.losses.numerics import TINY

Mask = npt.NDArray[np.bool_]

NEAR = 2.0**-6
"""Relative distance of label and mean below which the deviance is summed as a series."""

TERMS = 10
"""Terms of the series: more would add less than rounding."""


class Family(ABC):
    """Half the unit deviance as a function of label and mean: zero where they are equal; frozen.

    Its derivative in the mean is ``(mean - label) / variance(mean)`` for every family.

    No term in the label alone is left out: of an objective of deviances the part that a fit can still change is never
    lost beside a constant, which is what tolerances relative to the objective rely on.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """As ``pyspark.ml.regression.GeneralizedLinearRegression`` calls it."""

    @property
    @abstractmethod
    def label_range(self) -> LabelRange:
        """The labels of the family."""

    @abstractmethod
    def contains(self, mean: Array) -> Mask:
        """Which means the family has."""

    @abstractmethod
    def nearest_mean(self, mean: float) -> float:
        """The mean of the family nearest to a mean of labels."""

    @abstractmethod
    def value(self, label: Array, mean: Array) -> Array:
        """Half the unit deviance."""

    @abstractmethod
    def variance(self, mean: Array) -> Array:
        """The variance, up to the dispersion."""

    @abstractmethod
    def variance_derivative(self, mean: Array) -> Array:
        """Derivative of the variance."""

    def derivative(self, label: Array, mean: Array) -> Array:
        """Derivative of the value in the mean."""
        return (mean - label) / self.variance(mean)

    def curvature(self, label: Array, mean: Array) -> Array:
        """Second derivative of the value in the mean."""
        slope = self.derivative(label, mean)
        return (1.0 - slope * self.variance_derivative(mean)) / self.variance(mean)


@dataclass(frozen=True)
class PowerFamily(Family):
    """Variance ``mean^power``: gaussian 0, poisson 1, gamma 2, inverse Gaussian 3; between 1 and 2 zeros and amounts.

    Parameters
    ----------
    power : float
        0, or 1 and above.
    """

    power: float

    def __post_init__(self) -> None:
        allowed = self.power == 0.0 or 1.0 <= self.power < np.inf
        check_setting(allowed, "tweedie", "power", self.power, "0, or 1 and above")

    @property
    def name(self) -> str:
        return {0.0: "gaussian", 1.0: "poisson", 2.0: "gamma"}.get(self.power, "tweedie")

    @property
    def label_range(self) -> LabelRange:
        return LabelRange() if self.power == 0.0 else LabelRange(0.0, low_open=self.power >= 2.0)

    def contains(self, mean: Array) -> Mask:
        return np.isfinite(mean) & (mean > (-np.inf if self.power == 0.0 else 0.0))

    def nearest_mean(self, mean: float) -> float:
        return mean if self.power == 0.0 else max(mean, TINY)

    def value(self, label: Array, mean: Array) -> Array:
        if self.power == 0.0:
            return np.asarray(0.5 * np.square(label - mean))
        excess = (label - mean) / mean
        near = np.abs(excess) < NEAR
        if not near.any():
            return self._far_value(label, mean)
        scale = np.power(mean, 2.0 - self.power)
        return np.where(near, scale * _deviance_near(excess, self.power), self._far_value(label, mean))

    def _far_value(self, label: Array, mean: Array) -> Array:
        """The value where label and mean are not so close that its terms cancel."""
        if self.power == 1.0:
            return np.asarray(special.xlogy(label, label / mean) + (mean - label))
        if self.power == 2.0:
            return label / mean - 1.0 - np.log(label / mean)
        fall, rise = 1.0 - self.power, 2.0 - self.power
        own = np.power(label, rise) / (fall * rise)
        return np.asarray(own + np.power(mean, rise) / rise - label * np.power(mean, fall) / fall)

    def variance(self, mean: Array) -> Array:
        return np.power(mean, self.power)

    def variance_derivative(self, mean: Array) -> Array:
        return self.power * np.power(mean, self.power - 1.0)


@dataclass(frozen=True)
class BinomialFamily(Family):
    """Variance ``mean (1 - mean)``; labels are 0 and 1, or shares between them."""

    name: ClassVar[str] = "binomial"
    label_range: ClassVar[LabelRange] = LabelRange(0.0, 1.0)

    def contains(self, mean: Array) -> Mask:
        return (mean > 0.0) & (mean < 1.0)

    def nearest_mean(self, mean: float) -> float:
        margin = float(np.finfo(float).eps)
        return min(max(mean, margin), 1.0 - margin)

    def value(self, label: Array, mean: Array) -> Array:
        return np.asarray(special.rel_entr(label, mean) + special.rel_entr(1.0 - label, 1.0 - mean))

    def variance(self, mean: Array) -> Array:
        return mean * (1.0 - mean)

    def variance_derivative(self, mean: Array) -> Array:
        return 1.0 - 2.0 * mean


def _deviance_near(excess: Array, power: float) -> Array:
    """Half the unit deviance of variance ``mean^power`` at a mean of 1 and a label of ``1 + excess``.

    That is the integral of ``(y - t) t^-power`` over t from 1 to y: with a = 2 - power,
    ``((1 + e)^a - 1 - a e) / (a (a - 1))``, the binomial series without its first two terms. For a of 0 and 1 the
    series is that of the logarithms to which this tends.
    """
    coefs = [0.5]
    for order in range(3, TERMS + 2):
        coefs.append(coefs[-1] * (3.0 - power - order) / order)
    return np.asarray(np.square(excess) * np.polynomial.polynomial.polyval(excess, coefs))
