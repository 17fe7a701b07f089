"""Hessian-vector products at a point, without forming the Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.features import Features
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.threads import each
from sparkgd.losses.base import Loss
from sparkgd.questions.base import KernelQuestion, Reply
from sparkgd.questions.gradient import reply_at
from sparkgd.questions.hessian import scan_at_point, weighted_curvature

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProductQuestion(KernelQuestion):
    """Value and gradient of f at ``point`` (n,), and its Hessian there times each row of ``directions`` (q, n)."""

    point: Array
    directions: Array

    @property
    def evaluated(self) -> Array:
        return self.point[None, :]

    def kernel(self, problem: Problem) -> Kernel:
        to_raw = problem.coordinates.to_raw
        return ProductKernel(
            problem.loss, problem.layout, to_raw(self.point), to_raw(self.directions), problem.held_out
        )

    def reply(self, problem: Problem, sums: Sums) -> Reply:
        assert sums.product is not None and sums.weight is not None
        reply = reply_at(problem, self.point[None, :], sums, sums.weight)
        return replace(reply, products=products_of(problem, self.directions, sums.product, float(sums.weight[0])))


def products_of(problem: Problem, directions: Array, sums: Array, weight_sum: float) -> Array:
    """Hessian times ``directions`` (q, n), where ``sums`` (q, layout.size) are those of the loss's."""
    curvature = problem.penalty_on_coef.smooth_curvature(problem.layout.size)
    return problem.coordinates.pull(sums / weight_sum + curvature * problem.coordinates.to_raw(directions))


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
        products, scan = _Products(self.layout, self.directions), scan_at_point(self).scan()
        for chunk in block.chunks():
            raw = scan.add(chunk)[:, 0]
            products.add(chunk.features, weighted_curvature(self, chunk, raw))
        return scan.sums() + Sums(product=products.total())

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(by_coef=(1 + len(self.directions)) * self.layout.size)


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
        scan = scan_at_point(kernel).scan()
        self._layout = layout
        with one_thread():
            self._blocks = [
                [(chunk.features, weighted_curvature(kernel, chunk, scan.add(chunk)[:, 0])) for chunk in block.chunks()]
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
