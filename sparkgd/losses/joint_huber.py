"""Huber loss whose scale is fitted together with the coefficients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss, check_setting

RESOLUTION = 1e-12
"""Of labels in double precision, of which rounding in predictions leaves about that, relative to the label's size."""


@dataclass(frozen=True)
class JointHuberLoss(Loss):
    """Huber's loss with concomitant scale. Raw predictions are the location m and the scale s > 0, a scalar output::

        l(y, (m, s)) = (s + s H((m - y) / s)) / 2,    H(t) = t^2                          where |t| <= epsilon
                                                            = 2 epsilon |t| - epsilon^2   elsewhere

    Jointly convex in m and s; ``inf`` for s <= 0. With ``c = clip(r / s, -epsilon, epsilon)`` and r = m - y it is
    ``s (1 - c^2) / 2 + c r``, and the derivatives are ``c`` and ``(1 - c^2) / 2``. This is the objective of MLlib's
    ``LinearRegression(loss="huber")``.

    Where the features can explain (nearly) every label, as more columns than rows can, this has no minimum: it falls
    all the way to s = 0. Hence residuals of less than a ``resolution`` d count for nothing: ``d^2 / 2s`` is added,
    as if each label were off by d. Far below rounding at any scale that means something, it keeps s above about d, and
    the objective within d of its infimum. The null intercept is the label's mean and deviation: good, not the best.
    Huber, "Robust Statistics" (1981), section 7.7; Owen, "A robust hybrid of lasso and ridge regression" (2007).

    Parameters
    ----------
    epsilon : float
        Where the loss turns from squared to absolute, in units of the scale; above 1, or the scale would vanish.
    resolution : float
        In units of the label.
    """

    epsilon: float = 1.35
    resolution: float = 0.0
    name: ClassVar[str] = "jointHuber"
    num_outputs: ClassVar[int] = 2
    num_scalars: ClassVar[int] = 1
    can_be_curved: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_setting(1.0 < self.epsilon < np.inf, self.name, "epsilon", self.epsilon, "above 1")

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        scale = raw_prediction[..., 1]
        inside = scale > 0.0
        residual = raw_prediction[..., 0] - label
        clipped = self._clipped(residual, scale)
        by_scale = 0.5 - 0.5 * clipped * clipped
        error = self._in_scales(scale)
        value = np.where(inside, scale * by_scale + clipped * residual + 0.5 * self.resolution * error, np.inf)
        by_scale -= 0.5 * error * error
        return value, np.stack([np.where(inside, clipped, 0.0), np.where(inside, by_scale, 0.0)], axis=-1)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        scale = raw_prediction[..., 1]
        inside = scale > 0.0
        ratio = self._clipped(raw_prediction[..., 0] - label, scale)
        quadratic = inside & (np.abs(ratio) < self.epsilon)
        by_location = np.where(quadratic, 1.0 / np.where(inside, scale, 1.0), 0.0)
        mixed = -ratio * by_location
        error = self._in_scales(scale)
        by_scale = error * error / np.where(inside, scale, 1.0) - ratio * mixed
        rows = [np.stack([by_location, mixed], axis=-1), np.stack([mixed, by_scale], axis=-1)]
        return np.stack(rows, axis=-2)

    def curved(self, share: float) -> JointHuberLoss:
        return CurvedJointHuberLoss(self.epsilon, self.resolution, share)

    def for_labels(self, label: LabelSummary) -> JointHuberLoss:
        return replace(self, resolution=RESOLUTION * float(np.hypot(label.mean, np.sqrt(label.variance))))

    def _in_scales(self, scale: Array) -> Array:
        """The resolution in units of the scale, where this is one."""
        return self.resolution / np.where(scale > 0.0, scale, np.inf)

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


@dataclass(frozen=True)
class CurvedJointHuberLoss(JointHuberLoss):
    """With a share of ``epsilon / |r|`` for the curvature in m of the straight parts (see `CurvedHuberLoss`)."""

    share: float = 1.0

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        curvature = super().curvature(label, raw_prediction)
        distance = np.abs(raw_prediction[..., 0] - label)
        is_straight = (raw_prediction[..., 1] > 0.0) & (distance >= self.epsilon * raw_prediction[..., 1])
        slope = np.where(is_straight, self.epsilon, 0.0)
        curvature[..., 0, 0] += self.share * slope / np.where(is_straight, distance, 1.0)
        return curvature
