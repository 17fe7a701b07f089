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


class Family(ABC):
    """Half the unit deviance as a function of label and mean, up to terms in the label alone; frozen.

    Its derivative in the mean is ``(mean - label) / variance(mean)`` for every family.
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
        if self.power == 1.0:
            return mean - np.asarray(special.xlogy(label, mean))
        if self.power == 2.0:
            return label / mean + np.log(mean)
        fall = 1.0 - self.power
        return np.asarray(np.power(mean, fall + 1.0) / (fall + 1.0) - label * np.power(mean, fall) / fall)

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
        return -np.asarray(special.xlogy(label, mean) + special.xlog1py(1.0 - label, -mean))

    def variance(self, mean: Array) -> Array:
        return mean * (1.0 - mean)

    def variance_derivative(self, mean: Array) -> Array:
        return 1.0 - 2.0 * mean
