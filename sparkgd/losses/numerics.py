"""Functions that several losses need, right at every raw prediction."""

from __future__ import annotations

import numpy as np

from sparkgd.losses.base import Array

TINY = float(np.finfo(float).tiny)
"""Smallest mean whose logarithm is taken, so that a null model is finite."""


def exp(power: Array) -> Array:
    """``e^power``, inf (without a warning) where that is beyond the largest number."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(power))


def softplus_and_sigmoid(z: Array) -> tuple[Array, Array]:
    """``log(1 + e^z)`` and its derivative ``1 / (1 + e^-z)``, as new arrays.

    Evaluated through ``t = e^-|z|``, which cannot overflow: ``log(1 + e^z) = max(z, 0) + log1p(t)``.
    """
    decay = np.exp(-np.abs(z))
    softplus = np.log1p(decay)
    softplus += np.maximum(z, 0.0)
    sigmoid = np.maximum(decay, z >= 0.0)  # 1 there: np.where would take as long as all the rest
    sigmoid /= 1.0 + decay
    return softplus, sigmoid


def sigmoid_slope(z: Array) -> Array:
    """Derivative of the sigmoid, ``e^-|z| / (1 + e^-|z|)^2``."""
    decay = np.exp(-np.abs(z))
    return np.asarray(decay / (1.0 + decay) ** 2)
