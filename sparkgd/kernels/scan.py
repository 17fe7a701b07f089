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
        if self.held_out is not None:
            folds = np.unique(self.held_out[self.held_out >= 0])
            # Which rows serve which point: those of the first fold, of the second, ..., of none of them.
            self._serves = np.concatenate([folds[:, None] != self.held_out, np.ones((1, self.count), dtype=bool)])
            self._group_of = np.full(256, len(folds))
            self._group_of[folds] = np.arange(len(folds))

    def raw_prediction(self, chunk: Block) -> Array:
        raw = chunk.features.dot(self.weights)
        raw += self.intercepts
        add_offset(raw, chunk, self.layout)
        return raw

    def weigh(self, chunk: Block, value: Array) -> Array:
        """Add the sums of losses (rows, m) and weights; the rows' weights for training, (rows, m) or (rows, 1)."""
        weight = chunk.weight[:, None]
        if self.held_out is None or chunk.fold is None:
            self.value += loss_sums(weight, value)
            self.weight += weight.sum(axis=0)
            return weight
        # Sums of each fold, of which every point adds up those that serve it: nothing is subtracted or masked.
        group, groups = self._group_of[chunk.fold], len(self._serves)
        sums, weights = _sums_by_group(chunk.weight, group, groups, value)
        self.value += np.where(self._serves, sums, 0.0).sum(axis=0)
        self.weight += np.where(self._serves, weights, 0.0).sum(axis=0)
        self.held_out_value += np.where(self._serves, 0.0, sums).sum(axis=0)
        self.held_out_weight += np.where(self._serves, 0.0, weights).sum(axis=0)
        return np.asarray(weight * self._serves[group])


def _sums_by_group(weight: Array, group: npt.NDArray[np.intp], groups: int, value: Array) -> tuple[Array, Array]:
    """Sums (g, m) of ``weight * value`` over the rows of each group, and of the weights (g, 1)."""
    members = np.zeros((groups, len(weight)))
    members[group, np.arange(len(weight))] = weight
    sums = members @ value
    if not np.isfinite(sums).all():  # a loss that is infinite may not reach other groups, times 0
        sums = np.array([loss_sums(row[:, None], value) for row in members])
    return sums, members.sum(axis=1, keepdims=True)
