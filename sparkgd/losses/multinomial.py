"""Multinomial logistic loss for K classes."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss, RowDerivative, check_setting

EPS = float(np.finfo(float).eps)


def row_derivative(parameter: float, label: float, raw_prediction: Array, out: Array) -> None:
    """``softmax(z) - 1[k = y]``"""
    largest, total = raw_prediction[0], 0.0
    for k in range(len(raw_prediction)):
        largest = max(largest, raw_prediction[k])
    for k in range(len(raw_prediction)):
        out[k] = exp(raw_prediction[k] - largest)
        total += out[k]
    for k in range(len(raw_prediction)):
        out[k] /= total
    out[int(label)] -= 1.0


@dataclass(frozen=True)
class MultinomialLoss(Loss):
    """``l(y, z) = log sum_k e^z_k - z_y`` for labels 0 ... K-1: the negative log likelihood of a softmax.

    All K outputs are kept, as in MLlib, so adding a constant to all z_k changes nothing. The work is done with the
    classes on the first axis: sums over them are then over long rows, which is two to four times faster.

    Parameters
    ----------
    num_classes : int
        K, 2 or more.
    """

    num_classes: int
    name: ClassVar[str] = "multinomial"
    row_derivative: ClassVar[RowDerivative | None] = staticmethod(row_derivative)
    curvature_bound: ClassVar[float | None] = 0.5

    def __post_init__(self) -> None:
        check_setting(self.num_classes >= 2, self.name, "num_classes", self.num_classes, "2 or more")

    @property
    def num_outputs(self) -> int:
        return self.num_classes

    @property
    def label_range(self) -> LabelRange:
        return LabelRange(0.0, self.num_classes - 1.0, integer=True)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        work = _class_first(raw_prediction)
        work -= work.max(axis=0)
        chosen = np.equal(label, np.arange(self.num_classes).reshape(-1, *[1] * label.ndim)).astype(np.float64)
        value = -np.einsum("k...,k...->...", work, chosen)
        np.exp(work, out=work)
        total = work.sum(axis=0)
        value += np.log(total)
        work /= total
        work -= chosen
        return value, np.moveaxis(work, 0, -1)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        probability = self.inverse_link(raw_prediction)
        matrix = -probability[..., :, None] * probability[..., None, :]
        diagonal = np.arange(self.num_classes)
        matrix[..., diagonal, diagonal] += probability
        return matrix

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The class probabilities, of shape ``(..., K)``."""
        work = _class_first(raw_prediction)
        work -= work.max(axis=0)
        np.exp(work, out=work)
        work /= work.sum(axis=0)
        return np.moveaxis(work, 0, -1)

    def null_intercept(self, label: LabelSummary) -> Array:
        logs = np.log(np.maximum(self._shares(label), EPS))
        return np.asarray(logs - logs.mean())

    def best_prediction(self, label: float) -> Array | None:
        return np.where(np.arange(self.num_classes) == label, np.inf, 0.0)

    def typical_curvature(self, label: LabelSummary) -> float:
        if label.low == label.high:  # the null model is at infinity; what keeps a fit from it keeps it near 0
            return (self.num_classes - 1.0) / self.num_classes**2
        # Half of the null model's, averaged over the outputs: a fitted model is surer of itself.
        shares = self._shares(label)
        return max(0.5 * float(np.mean(shares * (1.0 - shares))), EPS)

    def _shares(self, label: LabelSummary) -> Array:
        """Each class's share of the weight."""
        return np.array([label.class_weights.get(k, 0.0) for k in range(self.num_classes)]) / label.weight_sum


def _class_first(raw_prediction: Array) -> Array:
    """A copy with the last axis first."""
    return np.array(np.moveaxis(raw_prediction, -1, 0), order="C")
