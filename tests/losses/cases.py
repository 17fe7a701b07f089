"""Every loss with labels and raw predictions on which its laws must hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.losses import (
    LINKS,
    LOSSES,
    BinomialFamily,
    Family,
    HeavyTweedieLoss,
    HuberLoss,
    JointHuberLoss,
    Loss,
    LossSettings,
    PowerFamily,
    QuantileLoss,
    generalized_loss,
    power_link,
)
from sparkgd.losses.piecewise_linear import PiecewiseLinearLoss

Array = npt.NDArray[np.float64]

SETTINGS = LossSettings(quantile=0.3, power=1.5, alpha=0.7, num_classes=3)

REGISTERED = {name: entry.build(SETTINGS) for name, entry in LOSSES.items()}
KINKED = {name: loss for name, loss in REGISTERED.items() if isinstance(loss, PiecewiseLinearLoss)}
SMOOTHED = {f"{name} smoothed {width:g}": loss.smoothed(width) for name, loss in KINKED.items() for width in (0.5, 2.0)}
OTHERS: dict[str, Loss] = {
    "jointHuber": JointHuberLoss(),
    "jointHuber 2": JointHuberLoss(2.0),
    "huber 0.5": HuberLoss(0.5),
    "quantile 0.9": QuantileLoss(0.9),
    "tweedie 1": LOSSES["tweedie"].build(LossSettings(power=1.0)),
    "tweedie 1.9": LOSSES["tweedie"].build(LossSettings(power=1.9)),
    "tweedie 2": LOSSES["tweedie"].build(LossSettings(power=2.0)),
    "tweedie 3": LOSSES["tweedie"].build(LossSettings(power=3.0)),
    "heavy tweedie 2.5": HeavyTweedieLoss(2.5),
    "heavy tweedie 3": HeavyTweedieLoss(3.0),
}
MLLIB_LINKS: dict[Family, tuple[str, ...]] = {
    PowerFamily(0.0): ("identity", "log", "inverse"),
    PowerFamily(1.0): ("log", "identity", "sqrt"),
    PowerFamily(2.0): ("inverse", "identity", "log"),
    BinomialFamily(): ("logit", "probit", "cloglog"),
}
TWEEDIE = (
    (0.0, 0.0),
    (1.2, -0.2),
    (1.5, 0.5),
    (1.5, 0.0),
    (1.5, 1.0),
    (2.5, -1.5),
    (3.0, -2.0),
    (3.0, 1.0),
    (2.5, 0.0),
)
"""Variance and link powers, the canonical pairs ``link = 1 - variance`` among them."""
GENERALIZED = {
    loss.name: loss
    for family, links in MLLIB_LINKS.items()
    for loss in (generalized_loss(family, LINKS[n]) for n in links)
} | {f"tweedie {p:g} power {q:g}": generalized_loss(PowerFamily(p), power_link(q)) for p, q in TWEEDIE}
ALL: dict[str, Loss] = {**REGISTERED, **SMOOTHED, **OTHERS, **GENERALIZED}


@dataclass(frozen=True)
class Grid:
    """Labels (n, 1) and raw predictions (n, m), or (n, m, K): all pairs."""

    label: Array
    raw: Array


def labels_of(loss: Loss) -> Array:
    """A few labels, the ends of the loss's range among them."""
    allowed = loss.label_range
    if allowed.integer:
        return np.arange(allowed.low, allowed.high + 1.0)
    if np.isinf(allowed.low):
        return np.array([-3.3, -0.4, 0.0, 0.7, 2.2])
    if not np.isinf(allowed.high):
        return np.linspace(allowed.low, allowed.high, 4)
    return np.array([0.05 if allowed.low_open else allowed.low, 0.3, 1.0, 4.6])


def grid_of(loss: Loss, largest: float = 4.0, count: int = 41) -> Grid:
    """Raw predictions between ``-largest`` and ``largest``, off the kinks; positive ones only where others cost inf."""
    label = labels_of(loss)
    axis = np.linspace(-largest, largest, count) + 0.0123456
    if loss.num_outputs == 1:
        if np.isinf(loss.value_and_derivative(label[:, None], np.tile([-1.0, 0.0], (len(label), 1)))[0]).any():
            axis = np.abs(axis) + 0.2
        return Grid(label[:, None], np.broadcast_to(axis, (len(label), count)))
    random = np.random.default_rng(7)
    raw = np.stack([random.permutation(axis) for _ in range(loss.num_outputs)], axis=-1)
    first_scalar = loss.num_outputs - loss.num_scalars
    raw[:, first_scalar:] = np.abs(raw[:, first_scalar:]) + 0.1
    return Grid(label[:, None], np.broadcast_to(raw, (len(label), *raw.shape)))
