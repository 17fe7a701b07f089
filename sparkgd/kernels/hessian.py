"""Second-order sums: the Hessian at a point, Hessian-vector products, and the Gram matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import Features
from sparkgd.kernels.gradient import GradientKernel
from sparkgd.kernels.gram import grams_of
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Sums
from sparkgd.kernels.threads import each
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
            curvature = _weighted_curvature(self, chunk, raw)
            if self.columns is not None:
                chunk = chunk.among(self.columns)
            grams.add(*_curved(chunk, curvature[:, first, second]))
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
        products, scan = _Products(self.layout, self.directions), _at_point(self).scan()
        for chunk in block.chunks():
            raw = scan.add(chunk)[:, 0]
            products.add(chunk.features, _weighted_curvature(self, chunk, raw))
        return scan.sums() + Sums(product=products.total())


class FixedHessian:
    """The Hessian sum at one point over blocks in this process, for many products: curvatures are computed once.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
    point : ndarray (layout.size,)
    blocks : sequence of Block
    held_out : int
        Fold to leave out, -1 for none.

    Attributes
    ----------
    weight : float
        Of the rows summed.
    """

    def __init__(
        self, loss: Loss, layout: CoefLayout, point: Array, blocks: Sequence[Block], held_out: int = -1
    ) -> None:
        kernel = ProductKernel(loss, layout, point, np.empty((0, layout.size)), held_out)
        scan = _at_point(kernel).scan()
        self._layout = layout
        with one_thread():
            self._blocks = [
                [
                    (chunk.features, _weighted_curvature(kernel, chunk, scan.add(chunk)[:, 0]))
                    for chunk in block.chunks()
                ]
                for block in blocks
            ]
        self._stored = sum(block.features.stored for block in blocks)
        self.weight = float(scan.weight[0])

    def product(self, direction: Array) -> Array:
        """The Hessian sum times a direction, of shape (layout.size,)."""

        def of_block(chunks: list[tuple[Features, Array]]) -> Array:
            products = _Products(self._layout, direction[None, :])
            for features, curvature in chunks:
                products.add(features, curvature)
            return np.asarray(products.total()[0])

        return np.asarray(sum(each(of_block, self._blocks, self._stored)))


def _weighted_curvature(kernel: HessianKernel | ProductKernel, chunk: Block, raw: Array) -> Array:
    """Second derivatives (r, K, K) by the raw predictions of a chunk's rows, times their weights."""
    outputs = kernel.layout.num_outputs
    curvature = kernel.loss.curvature(chunk.label, raw).reshape(chunk.rows, outputs, outputs)
    return np.asarray(curvature * chunk.training_weight(kernel.held_out)[:, None, None])


class _Products:
    """Sums of Hessians, of which curvatures (r, K, K) are known, times q directions."""

    def __init__(self, layout: CoefLayout, directions: Array) -> None:
        self._layout = layout
        self._shape = len(directions), layout.num_outputs
        self._directions = np.ascontiguousarray(layout.weights(directions).reshape(np.prod(self._shape), -1).T)
        self._shift = layout.intercepts(directions).reshape(-1)
        self._weights = np.zeros((np.prod(self._shape), layout.num_features))
        self._intercepts = np.zeros(np.prod(self._shape))

    def add(self, features: Features, curvature: Array) -> None:
        change = (features.dot(self._directions) + self._shift).reshape(-1, *self._shape)
        multipliers = np.einsum("rkl,rql->rqk", curvature, change).reshape(len(change), -1)
        self._weights += features.transpose_dot(multipliers)
        self._intercepts += multipliers.sum(axis=0)

    def total(self) -> Array:
        weights = self._weights.reshape(*self._shape, self._layout.num_features)
        return np.asarray(self._layout.pack(weights, self._intercepts.reshape(self._shape)))


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
