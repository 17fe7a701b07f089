"""What losses of a positive mean ``e^z`` share."""

from __future__ import annotations

import numpy as np

from sparkgd.losses.base import Array, LabelSummary, Loss
from sparkgd.losses.numerics import TINY, exp


class LogLinkLoss(Loss):
    """Half a unit deviance, up to terms in the label alone, of a mean ``e^z``; the best constant is the mean label."""

    def inverse_link(self, raw_prediction: Array) -> Array:
        return exp(raw_prediction)

    def null_intercept(self, label: LabelSummary) -> Array:
        return np.array([np.log(max(label.mean, TINY))])

    def best_prediction(self, label: float) -> Array | None:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.array([label])))
