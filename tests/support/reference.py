"""The objective, its gradient and its Hessian by a plain loop, one row at a time: what every kernel must equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import Loss

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlainSums:
    """Undivided sums over the rows of a block at one coef."""

    value: float
    weight: float
    gradient: Array
    hessian: Array
    held_out_value: float
    held_out_weight: float


def plain_sums(loss: Loss, layout: CoefLayout, coef: Array, block: Block, held_out: int = -1) -> PlainSums:
    """Loop over the rows; rows of the fold ``held_out`` are summed apart."""
    outputs, p = layout.num_outputs, layout.num_features
    weights, intercepts = layout.weights(coef), layout.intercepts(coef)
    features = block.features.dense()
    value = weight = held_value = held_weight = 0.0
    gradient, hessian = np.zeros(layout.size), np.zeros((layout.size, layout.size))
    for i in range(block.rows):
        x, w = features[i], block.weight[i]
        raw = weights @ x + intercepts + (0.0 if block.offset is None else block.offset[i])
        raw = raw[0] if outputs == 1 else raw
        loss_value, derivative = loss.value_and_derivative(block.label[i], np.asarray(raw))
        if block.fold is not None and block.fold[i] == held_out:
            held_value, held_weight = held_value + w * float(loss_value), held_weight + w
            continue
        value, weight = value + w * float(loss_value), weight + w
        design = _design(layout, x)
        gradient += w * design.T @ np.atleast_1d(derivative)
        if loss.has_curvature:
            curvature = loss.curvature(block.label[i], np.asarray(raw)).reshape(outputs, outputs)
            hessian += w * design.T @ curvature @ design
    assert p == features.shape[1]
    return PlainSums(value, weight, gradient, hessian, held_value, held_weight)


def _design(layout: CoefLayout, x: Array) -> Array:
    """Derivative (K, size) of a row's raw predictions in the coef."""
    outputs = layout.num_outputs
    by_weight = np.kron(np.eye(outputs), x[None, :])
    return np.column_stack([by_weight, np.eye(outputs)]) if layout.fit_intercept else by_weight
