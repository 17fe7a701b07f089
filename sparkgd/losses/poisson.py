"""Poisson loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparkgd.losses.base import Array, LabelRange
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.losses.numerics import exp


@dataclass(frozen=True)
class PoissonLoss(LogLinkLoss):
    """``l(y, z) = e^z - y z``: the negative log likelihood of a count with mean ``e^z``."""

    name: ClassVar[str] = "poisson"
    label_range: ClassVar[LabelRange] = LabelRange(0.0)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        mean = exp(raw_prediction)
        return mean - label * raw_prediction, mean - label

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        return exp(raw_prediction)
