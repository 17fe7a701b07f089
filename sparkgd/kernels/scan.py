"""What scans at many points have in common: raw predictions, weights of rows, sums of losses."""

from __future__ import annotations

from abc import ABC
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss

Array = npt.NDArray[np.float64]


def add_offset(raw: Array, chunk: Block, layout: CoefLayout) -> None:
    """Add the rows' offsets to raw predictions (rows, m * K), in place; scalar outputs have none."""
    if chunk.offset is not None:
        linear = raw.reshape(chunk.rows, -1, layout.num_outputs)[:, :, : layout.num_linear]
        linear += chunk.offset[:, None, None]


def loss_sums(weight: Array, value: Array) -> Array:
    """Sums (m,) of ``weight * value`` over the rows of (r, m); rows without weight count nothing even at inf."""
    weight = np.broadcast_to(weight, value.shape)
    sums = np.einsum("rm,rm->m", weight, value)
    if np.isnan(sums).any():
        sums = np.einsum("rm,rm->m", weight, np.where(weight > 0.0, value, 0.0))
    return np.asarray(sums)


class PointsKernel(Protocol):
    """What a kernel over m points has."""

    @property
    def loss(self) -> Loss: ...
    @property
    def layout(self) -> CoefLayout: ...
    @property
    def points(self) -> Array: ...
    @property
    def held_out(self) -> npt.NDArray[np.int16] | None: ...


class Scan(ABC):
    """Raw predictions, row weights and loss sums of m points; subclasses add what else they sum."""

    def __init__(self, kernel: PointsKernel) -> None:
        self.loss, self.layout = kernel.loss, kernel.layout
        self.held_out = kernel.held_out
        self.count = len(kernel.points)
        layout = self.layout
        self.weights = np.ascontiguousarray(
            layout.weights(kernel.points).reshape(self.count * layout.num_outputs, layout.num_features).T
        )
        self.intercepts = layout.intercepts(kernel.points).reshape(-1)
        self.value = np.zeros(self.count)
        self.weight = np.zeros(self.count)
        self.held_out_value = np.zeros(self.count)
        self.held_out_weight = np.zeros(self.count)

    def raw_prediction(self, chunk: Block) -> Array:
        raw = chunk.features.dot(self.weights)
        raw += self.intercepts
        add_offset(raw, chunk, self.layout)
        return raw

    def row_weights(self, chunk: Block, value: Array) -> Array:
        """Weights of shape (rows, m) for training; adds the held-out sums on the way."""
        weight = chunk.weight[:, None]
        if self.held_out is None or chunk.fold is None:
            return weight
        held = chunk.fold[:, None] == self.held_out
        aside = np.where(held, weight, 0.0)
        self.held_out_value += loss_sums(aside, value)
        self.held_out_weight += aside.sum(axis=0)
        return np.where(held, 0.0, weight)
