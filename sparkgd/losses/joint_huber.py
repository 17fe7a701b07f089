"""Huber loss whose scale is fitted together with the coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss, check_setting


@dataclass(frozen=True)
class JointHuberLoss(Loss):
    """Huber's loss with concomitant scale. The raw predictions are the location m and the scale s > 0, a scalar output:

        l(y, (m, s)) = (s + s H((m - y) / s)) / 2,    H(t) = t^2                          where |t| <= epsilon
                                                            = 2 epsilon |t| - epsilon^2   elsewhere

    Jointly convex in m and s; ``inf`` for s <= 0. With ``c = clip(r / s, -epsilon, epsilon)`` and r = m - y it is
    ``s (1 - c^2) / 2 + c r``, and the derivatives are ``c`` and ``(1 - c^2) / 2``. This is the objective of MLlib's
    ``LinearRegression(loss="huber")``. The null intercept is the label's mean and deviation: good, not the best.
    Huber, "Robust Statistics" (1981), section 7.7; Owen, "A robust hybrid of lasso and ridge regression" (2007).

    Parameters
    ----------
    epsilon : float
        Where the loss turns from squared to absolute, in units of the scale; above 1, or the scale would vanish.
    """

    epsilon: float = 1.35
    name: ClassVar[str] = "jointHuber"
    num_outputs: ClassVar[int] = 2
    num_scalars: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_setting(1.0 < self.epsilon < np.inf, self.name, "epsilon", self.epsilon, "above 1")

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        scale = raw_prediction[..., 1]
        inside = scale > 0.0
        residual = raw_prediction[..., 0] - label
        clipped = self._clipped(residual, scale)
        by_scale = 0.5 - 0.5 * clipped * clipped
        value = np.where(inside, scale * by_scale + clipped * residual, np.inf)
        return value, np.stack([np.where(inside, clipped, 0.0), np.where(inside, by_scale, 0.0)], axis=-1)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        scale = raw_prediction[..., 1]
        inside = scale > 0.0
        ratio = self._clipped(raw_prediction[..., 0] - label, scale)
        quadratic = inside & (np.abs(ratio) < self.epsilon)
        by_location = np.where(quadratic, 1.0 / np.where(inside, scale, 1.0), 0.0)
        mixed = -ratio * by_location
        rows = [np.stack([by_location, mixed], axis=-1), np.stack([mixed, -ratio * mixed], axis=-1)]
        return np.stack(rows, axis=-2)

    def _clipped(self, residual: Array, scale: Array) -> Array:
        with np.errstate(over="ignore"):
            ratio = residual / np.where(scale > 0.0, scale, 1.0)
        return np.clip(ratio, -self.epsilon, self.epsilon)

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The location m, without the last axis."""
        return raw_prediction[..., 0]

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([label.mean, np.sqrt(label.variance) if label.variance > 0.0 else 1.0])

    def best_prediction(self, label: float) -> Array | None:
        # No residual is left to measure a scale by, and the least one, 0, is no scale: it stays at 1, as in MLlib.
        return np.array([label, 1.0])
