"""Losses as a user would write them, in a module that can be imported."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.losses import LabelRange

Array = npt.NDArray[np.float64]


class LogCosh:
    """``log cosh(z - y)``."""

    curvature_bound = 1.0

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def value(self, label: Array, raw_prediction: Array) -> Array:
        distance = np.abs(raw_prediction - label) / self.scale
        return np.asarray(self.scale**2 * (distance + np.log1p(np.exp(-2.0 * distance)) - np.log(2.0)))

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return np.asarray(self.scale * np.tanh((raw_prediction - label) / self.scale))

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return np.asarray(1.0 - np.tanh((raw_prediction - label) / self.scale) ** 2)


class Exponential:
    """``e^(-s z)`` with s = 2 y - 1, the loss of AdaBoost."""

    label_range = LabelRange(0.0, 1.0, integer=True)

    def value(self, label: Array, raw_prediction: Array) -> Array:
        return np.asarray(np.exp(-(2 * label - 1) * raw_prediction))

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        return -(2 * label - 1) * self.value(label, raw_prediction)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return self.value(label, raw_prediction)


class FailsFarOut(LogCosh):
    """Defective, in a way that no check of a loss finds out."""

    def value(self, label: Array, raw_prediction: Array) -> Array:
        if np.max(label, initial=0.0) > 3.5:
            raise ArithmeticError("a label above 3.5")
        return super().value(label, raw_prediction)


class Outer:
    class Nested(LogCosh):
        pass


class NeedsArguments(LogCosh):
    def __init__(self, scale: float, other: float) -> None:
        super().__init__(scale)


WIDE = LogCosh(3.0)
