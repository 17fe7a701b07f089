"""Where a probability becomes a class, as ``pyspark.ml.classification.LogisticRegression`` has it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pyspark.ml.param.shared import HasThreshold, HasThresholds

from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.params.rules import Rule

Array = npt.NDArray[np.float64]
SelfT = TypeVar("SelfT", bound="ThresholdParams")

THRESHOLDS_RULE: Rule = (
    lambda values: all(np.isfinite(v) and v >= 0.0 for v in values) and sum(v == 0.0 for v in values) <= 1,
    "finite numbers >= 0, of which at most one is 0",
)


class ThresholdParams(HasThreshold, HasThresholds):
    """``threshold`` of the probability of class 1, or ``thresholds`` of all classes.

    Setting one of them clears the other; two thresholds (t0, t1) mean the threshold ``1 / (1 + t0 / t1)``.
    """

    def setThreshold(self: SelfT, value: float) -> SelfT:
        """Sets the value of :py:attr:`threshold` and clears :py:attr:`thresholds`."""
        self._set(threshold=value)
        self.clear(self.thresholds)
        return self

    def getThreshold(self) -> float:
        """Probability above which class 1 is predicted.

        Raises
        ------
        InvalidParamError
            If ``thresholds`` are not two, or contradict ``threshold``.
        """
        if not self.isSet(self.thresholds):
            return float(self.getOrDefault(self.threshold))
        given = self.getOrDefault(self.thresholds)
        if len(given) != 2:
            raise InvalidParamError(f"thresholds={given!r} mean no threshold: there must be two for two classes")
        threshold = 1.0 / (1.0 + given[0] / given[1]) if given[1] > 0.0 else 0.0
        if self.isSet(self.threshold) and abs(self.getOrDefault(self.threshold) - threshold) > 1e-5:
            raise InvalidParamError(
                f"threshold={self.getOrDefault(self.threshold)!r} and thresholds={given!r}, which mean {threshold:g}, "
                "contradict each other; set one of them"
            )
        return threshold

    def setThresholds(self: SelfT, value: list[float]) -> SelfT:
        """Sets the value of :py:attr:`thresholds` and clears :py:attr:`threshold`."""
        self._set(thresholds=value)
        self.clear(self.threshold)
        return self

    def getThresholds(self) -> list[float]:
        """Thresholds of all classes; where only ``threshold`` t is set, ``[1 - t, t]``."""
        if self.isSet(self.threshold) and not self.isSet(self.thresholds):
            threshold = self.getOrDefault(self.threshold)
            return [1.0 - threshold, threshold]
        return list(self.getOrDefault("thresholds"))

    def _check_contradiction(self) -> None:
        """Refuse a ``threshold`` beside ``thresholds`` that mean another one.

        Raises
        ------
        InvalidParamError
        """
        if self.isSet(self.threshold) and self.isSet(self.thresholds):
            self.getThreshold()

    def _check_thresholds(self, num_classes: int) -> None:
        """Refuse thresholds that do not fit the number of classes or contradict ``threshold``.

        Raises
        ------
        InvalidParamError
        """
        if not self.isSet(self.thresholds):
            return
        given = self.getOrDefault(self.thresholds)
        if len(given) != num_classes:
            raise InvalidParamError(f"thresholds has {len(given)} entries, but there are {num_classes} classes")
        if num_classes == 2:
            self.getThreshold()

    def _largest(self, probability: Array) -> float:
        """The class of the largest probability, each divided by its threshold where there are any."""
        divisors = self._divisors()
        return float(np.argmax(probability if divisors is None else probability / divisors))

    def _divisors(self) -> Array | None:
        """What each class's probability is divided by; None without ``thresholds``."""
        if not self.isSet(self.thresholds):
            return None
        # A class whose threshold is 0 is predicted whenever it has any probability.
        return np.asarray(np.maximum(self.getOrDefault("thresholds"), np.finfo(float).tiny))
