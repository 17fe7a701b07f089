"""Losses of generalized linear models: a family and a link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkgd.losses.approach import OwnMeansLoss, ShortfallLoss
from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss
from sparkgd.losses.binomial import BinomialCloglogLoss, BinomialLogitLoss, BinomialProbitLoss
from sparkgd.losses.families import BinomialFamily, Family, PowerFamily
from sparkgd.losses.links import CloglogLink, IdentityLink, Link, LogitLink, LogLink, ProbitLink
from sparkgd.losses.squared import SquaredLoss
from sparkgd.losses.tweedie import tweedie_loss

SHARES = (0.5, 0.05, 0.005)
"""How far rows must go towards the raw prediction of their own mean; the less, the more can do so at once."""


@dataclass(frozen=True)
class GeneralizedLoss(Loss):
    """``l(y, z) = d(y, m(z))`` with d the family's half unit deviance and m the link's inverse, by the chain rule::

        dl/dz   = d'(m) m'(z)
        d2l/dz2 = d''(m) m'(z)^2 + d'(m) m''(z)

    Raw predictions whose mean the family does not have cost inf. Not known to be convex: some pairs are.
    McCullagh and Nelder, "Generalized linear models" (1989).

    Parameters
    ----------
    family : Family
    link : Link
    """

    family: Family
    link: Link
    is_convex: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return f"{self.family.name} ({self.link.name} link)"

    @property
    def label_range(self) -> LabelRange:
        return self.family.label_range

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):
            mean = self.link.inverse(raw_prediction)
            inside = self._inside(raw_prediction, mean)
            value = self.family.value(label, mean)
            derivative = self.family.derivative(label, mean) * self.link.inverse_derivatives(raw_prediction)[0]
        return _within(inside, value, np.inf), _within(inside, derivative, 0.0)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        with np.errstate(all="ignore"):
            mean = self.link.inverse(raw_prediction)
            first, second = self.link.inverse_derivatives(raw_prediction)
            by_mean = self.family.curvature(label, mean) * first * first
            curvature = by_mean + self.family.derivative(label, mean) * second
        return _within(self._inside(raw_prediction, mean), curvature, 0.0)

    def _inside(self, raw_prediction: Array, mean: Array) -> npt.NDArray[np.bool_]:
        return self.link.contains(raw_prediction) & self.family.contains(mean)

    def accepts(self, raw_prediction: Array) -> npt.NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            return self._inside(raw_prediction, self.link.inverse(raw_prediction))

    def approaches(self, label: LabelSummary) -> Sequence[Loss]:
        about = self.family, self.link, label.mean
        return OwnMeansLoss(*about), *(ShortfallLoss(*about, share) for share in SHARES)

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The mean; nan for raw predictions that stand for none."""
        with np.errstate(all="ignore"):
            return np.where(self.link.contains(raw_prediction), self.link.inverse(raw_prediction), np.nan)

    def null_intercept(self, label: LabelSummary) -> Array:
        mean = np.array([self.family.nearest_mean(label.mean)])
        with np.errstate(all="ignore"):
            raw = self.link.value(mean)
        if self.accepts(raw).all():
            return raw
        # The logarithm of a negative mean label, say: of all sizes that stand for a mean, that of the labels.
        return self.link.value(np.array([np.sqrt(label.variance + label.mean**2)]))

    def best_prediction(self, label: float) -> Array | None:
        with np.errstate(all="ignore"):
            best = self.link.value(np.array([label]))
        # A mean at the end of the family's range, or beyond it, has no finite raw prediction of its own.
        is_one = bool(np.isinf(best[0]) or self._inside(best, self.link.inverse(best))[0])
        return best if is_one else None


def _within(inside: npt.NDArray[np.bool_], array: Array, outside: float) -> Array:
    return np.where(inside & ~np.isnan(array), array, outside)


def generalized_loss(family: Family, link: Link) -> Loss:
    """The loss of a family and a link: a class of its own where there is one, which is faster and right further out."""
    special: dict[tuple[Family, Link], Loss] = {
        (PowerFamily(0.0), IdentityLink()): SquaredLoss(),
        (BinomialFamily(), LogitLink()): BinomialLogitLoss(),
        (BinomialFamily(), ProbitLink()): BinomialProbitLoss(),
        (BinomialFamily(), CloglogLink()): BinomialCloglogLoss(),
    }
    if isinstance(family, PowerFamily) and family.power >= 1.0 and link == LogLink():
        return tweedie_loss(family.power)
    return special.get((family, link)) or GeneralizedLoss(family, link)
