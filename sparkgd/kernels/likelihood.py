"""Likelihoods of rows at their raw predictions: the score and the information of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.losses.families import BinomialFamily, Family, PowerFamily
from sparkgd.losses.links import Link
from sparkgd.losses.multinomial import MultinomialLoss

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowLikelihood:
    """The log-likelihood of n rows by m identified raw predictions, for a dispersion of 1.

    Attributes
    ----------
    score : ndarray (n, m)
        Its derivative, weight included.
    information : ndarray (n, m, m)
        Its expected negative second derivative, weight included.
    pearson : float
        Pearson's statistic; nan where there is none.
    """

    score: Array
    information: Array
    pearson: float


class Likelihood(Protocol):
    """What a row's label has to do with its raw predictions."""

    @property
    def contrast(self) -> Array:
        """Matrix (K, m) that makes K raw predictions of m that are identified."""
        ...

    @property
    def has_known_dispersion(self) -> bool:
        """Whether the variance is that of the mean: no dispersion is estimated, and statistics are normal."""
        ...

    def __call__(self, label: Array, raw: Array, weight: Array) -> RowLikelihood:
        """Of rows (n,) with raw predictions (n, K) and positive weights (n,)."""
        ...


@dataclass(frozen=True)
class GeneralizedLikelihood:
    """A generalized linear model: the mean is a function m(z) of the raw prediction z, the variance V(m) of the mean.

    The score is ``w (y - m) m'(z) / V(m)``, the expected information ``w m'(z)^2 / V(m)`` and Pearson's statistic
    ``sum w (y - m)^2 / V(m)``.
    """

    family: Family
    link: Link

    @property
    def contrast(self) -> Array:
        """One raw prediction is identified as it is."""
        return np.ones((1, 1))

    @property
    def has_known_dispersion(self) -> bool:
        """True of binomial and Poisson."""
        return self.family in (BinomialFamily(), PowerFamily(1.0))

    def __call__(self, label: Array, raw: Array, weight: Array) -> RowLikelihood:
        raw = raw[:, 0]
        mean, slope = self.link.inverse(raw), self.link.inverse_derivatives(raw)[0]
        variance, residual = self.family.variance(mean), label - mean
        return RowLikelihood(
            score=(weight * residual * slope / variance)[:, None],
            information=(weight * slope**2 / variance)[:, None, None],
            pearson=float(weight @ (residual**2 / variance)),
        )


@dataclass(frozen=True)
class MultinomialLikelihood:
    """Classes whose probabilities p are the softmax of K raw predictions, which are centred over the classes.

    Adding a number to all K changes no probability, so K - 1 are identified: those of the classes 1 to K - 1 less that
    of class 0. Of these the score is ``w (1[y = k] - p_k)`` and the information ``w (diag(p) - p p^T)``, expected and
    observed.
    """

    num_classes: int

    @property
    def contrast(self) -> Array:
        """The K centred predictions of the K - 1: each less the mean of all, that of class 0 being 0."""
        identified = np.eye(self.num_classes)[:, 1:]
        return np.asarray(identified - 1.0 / self.num_classes)

    @property
    def has_known_dispersion(self) -> bool:
        """True."""
        return True

    def __call__(self, label: Array, raw: Array, weight: Array) -> RowLikelihood:
        loss = MultinomialLoss(self.num_classes)
        _, derivative = loss.value_and_derivative(label, raw)
        curvature = loss.curvature(label, raw)[:, 1:, 1:]
        return RowLikelihood(-weight[:, None] * derivative[:, 1:], weight[:, None, None] * curvature, np.nan)
