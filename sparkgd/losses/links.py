"""Link functions ``g(mean) = raw prediction`` of generalized linear models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import special

from sparkgd.losses.base import Array, check_setting

Mask = npt.NDArray[np.bool_]


class Link(ABC):
    """An invertible function g of the mean, element by element; frozen, compared by value."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As ``pyspark.ml.regression.GeneralizedLinearRegression`` calls it."""

    @abstractmethod
    def value(self, mean: Array) -> Array:
        """``g(mean)``."""

    @abstractmethod
    def derivative(self, mean: Array) -> Array:
        """``g'(mean)``."""

    @abstractmethod
    def inverse(self, raw_prediction: Array) -> Array:
        """The mean m with ``g(m) = raw_prediction``."""

    @abstractmethod
    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        """First and second derivative of `inverse`."""

    def contains(self, raw_prediction: Array) -> Mask:
        """Which raw predictions stand for a mean."""
        return np.ones(np.shape(raw_prediction), dtype=bool)


@dataclass(frozen=True)
class IdentityLink(Link):
    """``g(m) = m``."""

    name: ClassVar[str] = "identity"

    def value(self, mean: Array) -> Array:
        return mean

    def derivative(self, mean: Array) -> Array:
        return np.ones_like(mean)

    def inverse(self, raw_prediction: Array) -> Array:
        return raw_prediction

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        return np.ones_like(raw_prediction), np.zeros_like(raw_prediction)


@dataclass(frozen=True)
class LogLink(Link):
    """``g(m) = log m``."""

    name: ClassVar[str] = "log"

    def value(self, mean: Array) -> Array:
        return np.log(mean)

    def derivative(self, mean: Array) -> Array:
        return 1.0 / mean

    def inverse(self, raw_prediction: Array) -> Array:
        return np.exp(raw_prediction)

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        mean = np.exp(raw_prediction)
        return mean, mean


@dataclass(frozen=True)
class InverseLink(Link):
    """``g(m) = 1 / m``."""

    name: ClassVar[str] = "inverse"

    def value(self, mean: Array) -> Array:
        return 1.0 / mean

    def derivative(self, mean: Array) -> Array:
        return -1.0 / np.square(mean)

    def inverse(self, raw_prediction: Array) -> Array:
        return 1.0 / raw_prediction

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        mean = 1.0 / raw_prediction
        return -np.square(mean), 2.0 * mean**3

    def contains(self, raw_prediction: Array) -> Mask:
        return np.not_equal(raw_prediction, 0.0)


@dataclass(frozen=True)
class PowerLink(Link):
    """``g(m) = m^power`` for positive means and raw predictions; `power_link` also knows the powers 0, 1 and -1.

    Parameters
    ----------
    power : float
        Not zero; 0.5 is MLlib's ``sqrt``.
    """

    power: float

    def __post_init__(self) -> None:
        allowed = self.power != 0.0 and bool(np.isfinite(self.power))
        check_setting(allowed, "generalized", "link power", self.power, "finite and not zero")

    @property
    def name(self) -> str:
        return "sqrt" if self.power == 0.5 else f"power({self.power:g})"

    def value(self, mean: Array) -> Array:
        return np.power(mean, self.power)

    def derivative(self, mean: Array) -> Array:
        return self.power * np.power(mean, self.power - 1.0)

    def inverse(self, raw_prediction: Array) -> Array:
        return np.power(raw_prediction, 1.0 / self.power)

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        root = 1.0 / self.power
        first = root * np.power(raw_prediction, root - 1.0)
        return first, (root - 1.0) * first / raw_prediction

    def contains(self, raw_prediction: Array) -> Mask:
        return np.greater(raw_prediction, 0.0)


@dataclass(frozen=True)
class LogitLink(Link):
    """``g(m) = log(m / (1 - m))``."""

    name: ClassVar[str] = "logit"

    def value(self, mean: Array) -> Array:
        return np.asarray(special.logit(mean))

    def derivative(self, mean: Array) -> Array:
        return 1.0 / (mean * (1.0 - mean))

    def inverse(self, raw_prediction: Array) -> Array:
        return np.asarray(special.expit(raw_prediction))

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        mean = self.inverse(raw_prediction)
        first = mean * (1.0 - mean)
        return first, first * (1.0 - 2.0 * mean)


@dataclass(frozen=True)
class ProbitLink(Link):
    """``g(m)`` is the quantile function of the standard normal distribution."""

    name: ClassVar[str] = "probit"

    def value(self, mean: Array) -> Array:
        return np.asarray(special.ndtri(mean))

    def derivative(self, mean: Array) -> Array:
        return 1.0 / _normal_density(self.value(mean))

    def inverse(self, raw_prediction: Array) -> Array:
        return np.asarray(special.ndtr(raw_prediction))

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        density = _normal_density(raw_prediction)
        return density, -raw_prediction * density


@dataclass(frozen=True)
class CloglogLink(Link):
    """``g(m) = log(-log(1 - m))``."""

    name: ClassVar[str] = "cloglog"

    def value(self, mean: Array) -> Array:
        return np.log(-np.log1p(-mean))

    def derivative(self, mean: Array) -> Array:
        return 1.0 / ((mean - 1.0) * np.log1p(-mean))

    def inverse(self, raw_prediction: Array) -> Array:
        with np.errstate(over="ignore"):
            return -np.expm1(-np.exp(raw_prediction))

    def inverse_derivatives(self, raw_prediction: Array) -> tuple[Array, Array]:
        hazard = np.exp(raw_prediction)
        first = np.exp(raw_prediction - hazard)
        return first, first * (1.0 - hazard)


def _normal_density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * np.square(z)) / np.sqrt(2.0 * np.pi))


LINKS: Mapping[str, Link] = MappingProxyType(
    {
        link.name: link
        for link in (
            IdentityLink(), LogLink(), InverseLink(), PowerLink(0.5), LogitLink(), ProbitLink(), CloglogLink()
        )
    }
)  # fmt: skip
"""Every link with a name, as MLlib's param ``link`` takes it."""


def power_link(power: float) -> Link:
    """The link of a power of the mean, as MLlib's param ``linkPower`` means it: 0 is the logarithm."""
    named: dict[float, Link] = {0.0: LogLink(), 1.0: IdentityLink(), -1.0: InverseLink()}
    return named[power] if power in named else PowerLink(power)
