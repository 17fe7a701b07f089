"""Second-order sums: the Hessian at a point, Hessian-vector products, and the Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.gradient import GradientKernel
from sparkgd.kernels.gram import grams_of
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Sums
from sparkgd.losses.base import Loss

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HessianKernel:
    """Loss, gradient and Hessian sums at one point.

    The Hessian of output pair (k, l) is ``X1^T diag(weight * d2 loss / dz_k dz_l) X1`` with ``X1 = [X, 1]``: for
    the few columns for which a matrix of ``size x size`` makes sense.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
    point : ndarray (layout.size,)
    held_out : int
        Fold to leave out, -1 for none.
    columns : ndarray of int or None
        Features that the Hessian is about, ascending; None for all.
    """

    loss: Loss
    layout: CoefLayout
    point: Array
    held_out: int = -1
    columns: npt.NDArray[np.intp] | None = None

    def __call__(self, block: Block) -> Sums:
        layout, outputs = self.layout, self.layout.num_outputs
        if self.columns is not None:
            layout = replace(layout, num_features=len(self.columns))
        first, second = np.triu_indices(outputs)
        gradient, entries = _at_point(self), None
        if block.features.columns is not None:
            inside, entries = self.layout.restricted(block.features.columns)
            gradient = replace(gradient, layout=inside, points=entries.of(gradient.points))
        grams, scan = grams_of(block, len(first), layout.num_features), gradient.scan()
        for chunk in block.chunks():
            raw = scan.add(chunk.narrow())[:, 0]
            curvature = self.loss.curvature(chunk.label, raw).reshape(chunk.rows, outputs, outputs)
            if self.columns is not None:
                chunk = chunk.among(self.columns)
            grams.add(*_curved(chunk, curvature[:, first, second] * chunk.training_weight(self.held_out)[:, None]))
        totals = grams.totals()
        hessian = np.zeros((outputs, outputs, *totals.shape[1:]))
        hessian[first, second] = totals
        return replace(scan.sums(), entries=entries) + Sums(hessian=_in_coef_order(hessian, layout))


def _curved(chunk: Block, weights: Array) -> tuple[Block, Array]:
    """Without the rows that weigh nothing, where they are many: most rows of a hinge loss lie on its straight parts."""
    rows = np.flatnonzero(weights.any(axis=1))
    return (chunk, weights) if 2 * len(rows) > chunk.rows else (chunk.take(rows), weights[rows])


def _at_point(kernel: HessianKernel | ProductKernel) -> GradientKernel:
    """Loss and gradient at the point of another kernel."""
    held = None if kernel.held_out < 0 else np.array([kernel.held_out], dtype=np.int16)
    return GradientKernel(kernel.loss, kernel.layout, kernel.point[None, :], held)


def _in_coef_order(blocks: Array, layout: CoefLayout) -> Array:
    """Blocks (K, K, p + 1, p + 1), upper triangle filled, as one symmetric matrix in the order of a coef."""
    outputs, p, columns = layout.num_outputs, layout.num_features, blocks.shape[2]
    for k in range(outputs):
        for other in range(k):
            blocks[k, other] = blocks[other, k].T
    flat = np.swapaxes(blocks, 1, 2).reshape(outputs * columns, -1)
    starts = np.arange(outputs) * columns
    weights = (starts[: layout.num_linear, None] + np.arange(p)).reshape(-1)
    order = np.concatenate([weights, starts[outputs - layout.num_intercepts :] + p])
    return np.asarray(flat[np.ix_(order, order)])


@dataclass(frozen=True)
class ProductKernel:
    """Loss, gradient, and Hessian sum times q directions at one point, without forming the Hessian."""

    loss: Loss
    layout: CoefLayout
    point: Array
    directions: Array
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        columns = block.features.columns
        if columns is not None:
            layout, entries = self.layout.restricted(columns)
            point, directions = entries.of(self.point), entries.of(self.directions)
            inside = replace(self, layout=layout, point=point, directions=directions)
            return replace(inside(block.narrow()), entries=entries)
        layout, count = self.layout, len(self.directions)
        outputs = layout.num_outputs
        weights = np.ascontiguousarray(layout.weights(self.directions).reshape(count * outputs, -1).T)
        shift = layout.intercepts(self.directions).reshape(-1)
        weights_product = np.zeros((count * outputs, layout.num_features))
        intercepts_product = np.zeros(count * outputs)
        scan = _at_point(self).scan()
        for chunk in block.chunks():
            raw = scan.add(chunk)[:, 0]
            curvature = self.loss.curvature(chunk.label, raw).reshape(chunk.rows, outputs, outputs)
            curvature = curvature * chunk.training_weight(self.held_out)[:, None, None]
            change = (chunk.features.dot(weights) + shift).reshape(chunk.rows, count, outputs)
            multipliers = np.einsum("rkl,rql->rqk", curvature, change).reshape(chunk.rows, -1)
            weights_product += chunk.features.transpose_dot(multipliers)
            intercepts_product += multipliers.sum(axis=0)
        product = layout.pack(weights_product.reshape(count, outputs, -1), intercepts_product.reshape(count, outputs))
        return scan.sums() + Sums(product=product)


@dataclass(frozen=True)
class GramKernel:
    """``sum weight * u u^T`` with ``u = (x - center) * scale``: centred chunk by chunk, so that nothing cancels."""

    center: Array
    scale: Array
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        gram = np.zeros((len(self.center), len(self.center)))
        for chunk in block.dense_chunks():
            root = np.sqrt(chunk.training_weight(self.held_out))
            values = (chunk.features.dense() - self.center) * self.scale * root[:, None]
            gram += values.T @ values
        return Sums(hessian=gram)
