"""Losses of a share or a class by its probability, for the links of MLlib's binomial family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss
from sparkgd.losses.families import BinomialFamily
from sparkgd.losses.links import CloglogLink, ProbitLink
from sparkgd.losses.logistic import LogisticLoss
from sparkgd.losses.numerics import exp


@dataclass(frozen=True)
class BinomialLogitLoss(LogisticLoss):
    """`LogisticLoss` for shares between 0 and 1 too."""

    name: ClassVar[str] = "binomial (logit link)"
    label_range: ClassVar[LabelRange] = BinomialFamily.label_range


@dataclass(frozen=True)
class BinomialProbitLoss(Loss):
    """``l(y, z) = -y log N(z) - (1 - y) log N(-z)`` with N the standard normal distribution function.

    The derivative of ``-log N(z)`` is ``-h(z)``, ``h(z) = N'(z) / N(z) = sqrt(2/pi) / erfcx(-z / sqrt 2)``, which stays
    exact in both tails; its curvature is ``h(z) (z + h(z))``, between 0 and 1.
    """

    name: ClassVar[str] = "binomial (probit link)"
    label_range: ClassVar[LabelRange] = BinomialFamily.label_range
    curvature_bound: ClassVar[float | None] = 1.0

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        value = -label * special.log_ndtr(raw_prediction) - (1.0 - label) * special.log_ndtr(-raw_prediction)
        return value, (1.0 - label) * _mills(-raw_prediction) - label * _mills(raw_prediction)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        one, zero = _mills(raw_prediction), _mills(-raw_prediction)
        of_one = np.clip(one * (raw_prediction + one), 0.0, 1.0)
        of_zero = np.clip(zero * (zero - raw_prediction), 0.0, 1.0)
        return label * of_one + (1.0 - label) * of_zero

    def inverse_link(self, raw_prediction: Array) -> Array:
        return ProbitLink().inverse(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return ProbitLink().value(np.array([BinomialFamily().nearest_mean(label.mean)]))

    def best_prediction(self, label: float) -> Array | None:
        return ProbitLink().value(np.array([label]))


def _mills(z: Array) -> Array:
    """``N'(z) / N(z)``."""
    return np.asarray(np.sqrt(2.0 / np.pi) / special.erfcx(-z / np.sqrt(2.0)))


@dataclass(frozen=True)
class BinomialCloglogLoss(Loss):
    """``l(y, z) = (1 - y) e^z - y log(1 - exp(-e^z))``: label 1 where a Poisson count of mean ``e^z`` is not zero.

    With ``u = e^z`` and ``h = u / (e^u - 1)`` the derivative is ``(1 - y) u - y h`` and the curvature
    ``(1 - y) u + y h (u + h - 1)``.
    """

    name: ClassVar[str] = "binomial (cloglog link)"
    label_range: ClassVar[LabelRange] = BinomialFamily.label_range

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        cost, hazard = self._cost_of_zero(label, raw_prediction), exp(raw_prediction)
        # log(1 - e^-u) = z - u / 2 + ..., exact to the last bit where u is tiny; the maximum keeps log(0) out.
        log_mean = np.where(raw_prediction < -37.0, raw_prediction, np.log(-np.expm1(-np.maximum(hazard, 1e-17))))
        return cost - label * log_mean, cost - label * _share_at_risk(hazard)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        hazard = exp(raw_prediction)
        share = _share_at_risk(hazard)
        of_one = share * (np.minimum(hazard, MOST) + share - 1.0)
        return self._cost_of_zero(label, raw_prediction) + label * np.maximum(of_one, 0.0)

    @staticmethod
    def _cost_of_zero(label: Array, raw_prediction: Array) -> Array:
        """``(1 - y) e^z``, with 1 - y inside the exponent so that 0 times inf is 0."""
        with np.errstate(divide="ignore"):
            return exp(raw_prediction + np.log1p(-label))

    def inverse_link(self, raw_prediction: Array) -> Array:
        return CloglogLink().inverse(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return CloglogLink().value(np.array([BinomialFamily().nearest_mean(label.mean)]))

    def best_prediction(self, label: float) -> Array | None:
        with np.errstate(divide="ignore"):
            return CloglogLink().value(np.array([label]))


MOST = 700.0
"""A hazard u beyond which ``u / (e^u - 1)`` is zero to every digit that matters."""


def _share_at_risk(hazard: Array) -> Array:
    """``u / (e^u - 1)``, 1 at zero."""
    bounded = np.clip(hazard, 1e-300, MOST)
    return bounded / np.expm1(bounded)
