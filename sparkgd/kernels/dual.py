"""Sums from which a lower bound of the objective follows, for losses with kinks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.gradient import Scan
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Sums
from sparkgd.losses.base import Loss

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DualKernel:
    """Loss sums at m points, and the dual sums of ``a_i``, the derivative of the smoothed loss at each row.

    For every a in the domain of the conjugate ``l*``, ``l(y, z) >= a z - l*(y, a)``: each row gives a line below its
    loss. The sums are kept apart for rising (a > 0) and falling (a < 0) lines, since an unpenalised intercept needs
    ``sum weight * a = 0`` and the heavier of the two sides can be scaled down to reach it.

    Parameters
    ----------
    loss, smoothed : Loss
        The loss of one output, and the same loss without kinks.
    layout : CoefLayout
    points : ndarray (m, layout.size)
    held_out : ndarray (m,) of int or None
        The fold that each point leaves out, -1 for none.
    """

    loss: Loss
    smoothed: Loss
    layout: CoefLayout
    points: Array
    held_out: npt.NDArray[np.int16] | None = None

    def __call__(self, block: Block) -> Sums:
        columns = block.features.columns
        if columns is not None:
            layout, entries = self.layout.restricted(columns)
            inside = replace(self, layout=layout, points=entries.of(self.points))
            return replace(inside(block.narrow()), entries=entries)
        scan = _DualScan(self)
        for chunk in block.chunks():
            scan.add(chunk)
        return scan.sums()


class _DualScan(Scan):
    """Sides along the last axis: rising lines, then falling ones."""

    def __init__(self, kernel: DualKernel) -> None:
        super().__init__(kernel)
        self.smoothed = kernel.smoothed
        self.height = np.zeros((self.count, 2))
        self.slope = np.zeros((2 * self.count, self.layout.num_features))
        self.slope_sum = np.zeros((self.count, 2))

    def add(self, chunk: Block) -> None:
        raw = self.raw_prediction(chunk)
        label = chunk.label[:, None]
        value, _ = self.loss.value_and_derivative(label, raw)
        _, dual = self.smoothed.value_and_derivative(label, raw)
        weight = np.broadcast_to(self.row_weights(chunk, value), value.shape)
        self.value += np.einsum("rm,rm->m", weight, value)
        self.weight += weight.sum(axis=0)
        weights = np.stack([np.where(dual > 0.0, weight, 0.0), np.where(dual < 0.0, weight, 0.0)], axis=2)
        self.height += np.einsum("rms,rm->ms", weights, dual * raw - self.loss.conjugate(label, dual))
        weighted_dual = weights * dual[:, :, None]
        self.slope += chunk.features.transpose_dot(weighted_dual.reshape(chunk.rows, -1))
        self.slope_sum += weighted_dual.sum(axis=0)

    def sums(self) -> Sums:
        slopes = self.layout.pack(
            self.slope.reshape(self.count, 2, 1, self.layout.num_features), self.slope_sum[:, :, None]
        )
        held = self.held_out is not None
        return Sums(
            value=self.value,
            weight=self.weight,
            held_out_value=self.held_out_value if held else None,
            held_out_weight=self.held_out_weight if held else None,
            dual_height=self.height,
            dual_slope=slopes,
        )
