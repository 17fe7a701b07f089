"""Loss value and gradient at one or many points, in one scan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Sums
from sparkgd.losses.base import Loss

Array = npt.NDArray[np.float64]


class Sample(Protocol):
    """Rule that picks the rows of a mini-batch, the same on every run of the task."""

    def rows(self, first_row: int, count: int) -> npt.NDArray[np.intp]:
        """Positions, within a block of ``count`` rows starting at row ``first_row``, of the rows in the batch."""
        ...


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


@dataclass(frozen=True)
class GradientKernel:
    """Sums of loss and gradient at m points over a block.

    With ``Z = X W^T + b + offset`` (one column for each point and output) and ``D = weight * dl/dz(y, Z)``, the
    gradient is ``D^T X`` for the weights and the column sums of ``D`` for the intercepts: two GEMMs a chunk.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
    points : ndarray (m, layout.size)
    held_out : ndarray (m,) of int or None
        The fold that each point leaves out (its loss is summed apart), -1 for none.
    sample : Sample or None
        Which rows to use; None for all.
    """

    loss: Loss
    layout: CoefLayout
    points: Array
    held_out: npt.NDArray[np.int16] | None = None
    sample: Sample | None = None

    def __call__(self, block: Block) -> Sums:
        if self.sample is not None:
            block = block.take(self.sample.rows(block.first_row, block.rows))
        columns = block.features.columns
        if columns is not None:
            layout, entries = self.layout.restricted(columns)
            inside = replace(self, layout=layout, points=entries.of(self.points), sample=None)
            return replace(inside(block.narrow()), entries=entries)
        scan = self.scan()
        for chunk in block.chunks():
            scan.add(chunk)
        return scan.sums()

    def scan(self) -> GradientScan:
        """What accumulates the sums, chunk by chunk."""
        return _OneOutput(self) if self.layout.num_outputs == 1 else _ManyOutputs(self)


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


class GradientScan(Scan):
    """Adds the gradients."""

    def __init__(self, kernel: GradientKernel) -> None:
        super().__init__(kernel)
        outputs = self.count * self.layout.num_outputs
        self.weights_gradient = np.zeros((outputs, self.layout.num_features))
        self.intercepts_gradient = np.zeros(outputs)

    @abstractmethod
    def add(self, chunk: Block) -> Array:
        """Add a chunk's sums; its raw predictions of shape (rows, m), or (rows, m, K) with K outputs."""

    def sums(self) -> Sums:
        """The sums so far."""
        layout, m = self.layout, self.count
        gradient = layout.pack(
            self.weights_gradient.reshape(m, layout.num_outputs, layout.num_features),
            self.intercepts_gradient.reshape(m, layout.num_outputs),
        )
        held = self.held_out is not None
        return Sums(
            value=self.value,
            gradient=gradient,
            weight=self.weight,
            held_out_value=self.held_out_value if held else None,
            held_out_weight=self.held_out_weight if held else None,
        )


class _OneOutput(GradientScan):
    """Raw predictions of shape (rows, m)."""

    def add(self, chunk: Block) -> Array:
        raw = self.raw_prediction(chunk)
        value, derivative = self.loss.value_and_derivative(chunk.label[:, None], raw)
        weight = self.row_weights(chunk, value)
        self.value += loss_sums(weight, value)
        self.weight += weight.sum(axis=0)
        derivative = derivative * weight
        self.weights_gradient += chunk.features.transpose_dot(derivative)
        self.intercepts_gradient += derivative.sum(axis=0)
        return raw


class _ManyOutputs(GradientScan):
    """Raw predictions of shape (rows, m, K)."""

    def add(self, chunk: Block) -> Array:
        raw = self.raw_prediction(chunk).reshape(chunk.rows, self.count, self.layout.num_outputs)
        value, derivative = self.loss.value_and_derivative(chunk.label[:, None], raw)
        weight = self.row_weights(chunk, value)
        self.value += loss_sums(weight, value)
        self.weight += weight.sum(axis=0)
        flat = (derivative * weight[:, :, None]).reshape(chunk.rows, -1)
        self.weights_gradient += chunk.features.transpose_dot(flat)
        self.intercepts_gradient += flat.sum(axis=0)
        return raw
