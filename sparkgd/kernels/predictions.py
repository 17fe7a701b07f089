"""From raw predictions to what a model's columns hold: the rule by which it decides, and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.losses.multinomial import MultinomialLoss

Array = npt.NDArray[np.float64]

LARGEST = 1e300
"""What stands for an infinite raw prediction in a softmax, where infinities have no difference."""


class Prediction(Protocol):
    """The rule of a prediction column; frozen and picklable."""

    def __call__(self, raw: Array) -> Array:
        """Predictions (n,) from raw predictions (n, K)."""
        ...


@dataclass(frozen=True)
class RawPrediction:
    """The one raw prediction itself."""

    def __call__(self, raw: Array) -> Array:
        return raw[:, 0]


@dataclass(frozen=True)
class MeanPrediction:
    """The mean that the one raw prediction stands for, at the nearest of the means that there are.

    Parameters
    ----------
    inverse : callable
        The inverse link; picklable.
    low, high : float
        The range of means.
    """

    inverse: Callable[[Array], Array]
    low: float = -np.inf
    high: float = np.inf

    def __call__(self, raw: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(np.clip(self.inverse(raw[:, 0]), self.low, self.high))


@dataclass(frozen=True)
class ThresholdPrediction:
    """Class 1 where the one raw prediction exceeds a threshold, else class 0."""

    threshold: float

    @classmethod
    def of_probability(cls, threshold: float) -> ThresholdPrediction:
        """The same by a threshold from 0 to 1 of the probability of class 1."""
        with np.errstate(divide="ignore"):
            return cls(float(np.log(np.float64(threshold) / (1.0 - threshold))))

    def __call__(self, raw: Array) -> Array:
        return (raw[:, 0] > self.threshold).astype(np.float64)


@dataclass(frozen=True)
class LargestPrediction:
    """The class of the largest of K raw predictions, or of the largest probability divided by its threshold.

    Parameters
    ----------
    thresholds : tuple of float, optional
        One a class; one whose threshold is 0 is predicted whenever it has any probability.
    """

    thresholds: tuple[float, ...] | None = None

    def __call__(self, raw: Array) -> Array:
        if self.thresholds is not None:
            raw = class_probabilities(raw) / np.maximum(self.thresholds, np.finfo(float).tiny)
        return np.asarray(np.argmax(raw, axis=1), dtype=np.float64)


def class_probabilities(raw: Array) -> Array:
    """Probabilities (n, K) from raw predictions (n, K), or (n, 2) from one raw prediction of class 1.

    Of two classes MLlib knows the second only as the complement of the first, which has fewer digits where it is small.
    """
    if raw.shape[1] > 1:
        return MultinomialLoss(raw.shape[1]).inverse_link(np.clip(raw, -LARGEST, LARGEST))
    with np.errstate(over="ignore"):
        first = 1.0 / (1.0 + np.exp(raw[:, 0]))
    return np.column_stack([first, 1.0 - first])
