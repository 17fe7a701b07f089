"""The objectives of ``pyspark.ml``'s linear models, written out over arrays: what fits of both libraries minimise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pyspark.ml.base import Model

from sparkgd.losses import Loss

Array = npt.NDArray[np.float64]


def deviation(values: Array, weight: Array, ddof: int = 1) -> Array:
    """Weighted standard deviation of columns: unbiased as MLlib has it, or the population's."""
    total = weight.sum()
    squares = weight @ (values - weight @ values / total) ** 2
    return np.asarray(np.sqrt(squares / (total - ddof * (weight @ weight) / total)))


@dataclass(frozen=True)
class PenalisedLoss:
    """``(1/W) sum_i w_i loss_i + reg [l2_factor (1 - mix)/2 sum_j s_j^2 b_j^2 + mix sum_j s_j |b_j|]``."""

    loss: Loss
    features: Array
    label: Array
    weight: Array
    reg: float = 0.0
    mix: float = 0.0
    standardize: bool = True
    l2_factor: float = 1.0
    ddof: int = 1
    offset: Array | float = 0.0

    def of(self, model: Model) -> float:
        """The objective of a fitted model of either library."""
        return self.at(*coefficients_of(model))

    def at(self, weights: Array, intercepts: Array) -> float:
        """The objective at weights (K, p) and intercepts (K,)."""
        raw = self.features @ weights.T + intercepts
        values = self.loss.value_and_derivative(
            self.label, raw if self.loss.num_outputs > 1 else raw[:, 0] + self.offset
        )[0]
        scale = deviation(self.features, self.weight, self.ddof) if self.standardize else np.ones(weights.shape[1])
        scaled = weights * scale
        ridge, lasso = np.square(scaled).sum() / 2, np.abs(scaled).sum()
        penalty = self.l2_factor * (1 - self.mix) * ridge + self.mix * lasso
        return float(self.weight @ values / self.weight.sum() + self.reg * penalty)


def coefficients_of(model: Model) -> tuple[Array, Array]:
    """Weights (K, p) and intercepts (K,) of a fitted model of either library."""
    if hasattr(model, "coefficientMatrix"):
        return model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    return model.coefficients.toArray()[None, :], np.array([model.intercept])


def assert_same_model(found: Model, expected: Model, rtol: float = 1e-5) -> None:
    """Both models have the same weights and intercepts, relatively to the largest."""
    for mine, theirs in zip(coefficients_of(found), coefficients_of(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max(initial=1.0))
