"""Losses that lead to raw predictions which a generalized loss is defined for."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss
from sparkgd.losses.families import Family
from sparkgd.losses.links import Link, Mask


@dataclass(frozen=True)
class Approach(Loss):
    """A loss about each row's *own mean* ``m``, midway between its label and the mean of all labels.

    Labels may lie where the family has no means (a count of 0), their own means hardly ever do. Rows whose own mean the
    link does not know cost nothing.

    Parameters
    ----------
    family : Family
    link : Link
    label_mean : float
        Weighted mean of all labels.
    """

    family: Family
    link: Link
    label_mean: float
    name: ClassVar[str] = "approach"

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        own = self._own_mean(label)
        with np.errstate(all="ignore"):
            value, derivative = self._quadratic(label, own, raw_prediction)
        known = self._knows(own)
        return np.where(known, value, 0.0), np.where(known, derivative, 0.0)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        own = self._own_mean(label)
        with np.errstate(all="ignore"):
            return np.where(self._knows(own), self._weight(own, raw_prediction), 0.0)

    def null_intercept(self, label: LabelSummary) -> Array:
        return self.link.value(np.array([self.label_mean]))

    def _own_mean(self, label: Array) -> Array:
        return 0.5 * (label + self.label_mean)

    def _knows(self, own: Array) -> Mask:
        with np.errstate(all="ignore"):
            raw, slope = self.link.value(own), self.link.derivative(own)
            return self.family.contains(own) & self.link.contains(raw) & np.isfinite(raw) & np.isfinite(slope)

    @abstractmethod
    def _quadratic(self, label: Array, own: Array, raw_prediction: Array) -> tuple[Array, Array]:
        """Value and derivative."""

    @abstractmethod
    def _weight(self, own: Array, raw_prediction: Array) -> Array:
        """Curvature."""


@dataclass(frozen=True)
class OwnMeansLoss(Approach):
    """``w (z - t)^2 / 2``, the first step of iteratively reweighted least squares, from the rows' own means m::

        t = g(m) + (y - m) g'(m),    w = 1 / (V(m) g'(m)^2)

    McCullagh and Nelder, "Generalized linear models" (1989), section 2.5.
    """

    is_quadratic: ClassVar[bool] = True

    def _quadratic(self, label: Array, own: Array, raw_prediction: Array) -> tuple[Array, Array]:
        excess = raw_prediction - (self.link.value(own) + (label - own) * self.link.derivative(own))
        slope = self._weight(own, raw_prediction) * excess
        return 0.5 * slope * excess, slope

    def _weight(self, own: Array, raw_prediction: Array) -> Array:
        weight = 1.0 / (self.family.variance(own) * np.square(self.link.derivative(own)))
        return np.broadcast_to(weight, np.shape(raw_prediction))


@dataclass(frozen=True)
class ShortfallLoss(Approach):
    """``max(0, share - z / g(m))^2 / 2``: nothing once ``z`` has gone a share of the way to that of the row's own mean.

    Raw predictions that stand for a mean are all of one sign, or of the label's: any share above 0 will do.

    Parameters
    ----------
    share : float
    """

    share: float = 0.5

    def _quadratic(self, label: Array, own: Array, raw_prediction: Array) -> tuple[Array, Array]:
        raw = self.link.value(own)
        shortfall = np.maximum(self.share - raw_prediction / raw, 0.0)
        return 0.5 * np.square(shortfall), -shortfall / raw

    def _weight(self, own: Array, raw_prediction: Array) -> Array:
        raw = self.link.value(own)
        return np.where(raw_prediction / raw < self.share, 1.0 / np.square(raw), 0.0)
