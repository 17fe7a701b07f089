"""What is summed over rows to judge predictions: each measure turns rows into as many totals as it has a size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.predictions import Prediction, class_probabilities

Array = npt.NDArray[np.float64]


class Measure(Protocol):
    """Totals over rows, which add up; frozen settings, picklable."""

    @property
    def size(self) -> int:
        """How many totals."""
        ...

    def totals(self, label: Array, weight: Array, raw: Array) -> Array:
        """The totals (size,) of labels (n,), weights (n,) and raw predictions (n, K)."""
        ...


@dataclass(frozen=True)
class ErrorMeasure:
    """Weight, and what is known of labels and predictions by it.

    The totals are sums of ``weight * [1, weight, y, y^2, p, p^2, e^2, |e|, label^2]`` with y and p the label and the
    prediction less a centre, and e the error: about a point near their mean, squares keep their digits.

    Parameters
    ----------
    prediction : Prediction
    center : float
        Near the labels' mean.
    """

    prediction: Prediction
    center: float
    size: ClassVar[int] = 9

    def totals(self, label: Array, weight: Array, raw: Array) -> Array:
        used = weight > 0.0  # a row without weight counts nothing, even where its prediction is infinite
        if not used.all():
            label, weight, raw = label[used], weight[used], raw[used]
        prediction = self.prediction(raw)
        error, y, p = label - prediction, label - self.center, prediction - self.center
        return np.array(
            [weight.sum(), weight @ weight, weight @ y, weight @ (y * y), weight @ p, weight @ (p * p),
             weight @ (error * error), weight @ np.abs(error), weight @ (label * label)]
        )  # fmt: skip


@dataclass(frozen=True)
class ConfusionMeasure:
    """Weights and numbers of rows by label and predicted class: of shape (2, K + 1, K), flattened.

    The last label stands for all that are no class of the model, as rows that it does not train on may have.

    Parameters
    ----------
    prediction : Prediction
        Of classes.
    classes : int
        K.
    """

    prediction: Prediction
    classes: int

    @property
    def size(self) -> int:
        return 2 * (self.classes + 1) * self.classes

    def totals(self, label: Array, weight: Array, raw: Array) -> Array:
        is_class = np.isin(label, np.arange(self.classes))
        known = np.where(is_class, label, self.classes).astype(np.intp)
        cell = known * self.classes + self.prediction(raw).astype(np.intp)
        return np.concatenate([np.bincount(cell, by, self.size // 2) for by in (weight, None)])


@dataclass(frozen=True)
class LogLossMeasure:
    """Sums of ``weight * [1, -log p]`` with p the probability of the label, at least ``eps`` and at most ``1 - eps``.

    A label that is no class has no probability, and leaves nan.
    """

    eps: float
    size: ClassVar[int] = 2

    def totals(self, label: Array, weight: Array, raw: Array) -> Array:
        probability = class_probabilities(raw)
        classes = probability.shape[1]
        is_class = np.isin(label, np.arange(classes))
        of_label = probability[np.arange(len(label)), np.where(is_class, label, 0).astype(np.intp)]
        # Beyond 1 - eps the loss is -log1p(-eps), which has more digits than -log(1 - eps).
        loss = np.where(of_label > 1.0 - self.eps, -np.log1p(-self.eps), -np.log(np.maximum(of_label, self.eps)))
        return np.array([weight.sum(), weight @ np.where(is_class, loss, np.nan)])
