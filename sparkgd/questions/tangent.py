"""The quadratic that touches the loss sum at a coef, for whoever is to remember rows that will be gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.features import dense_chunk_rows
from sparkgd.kernels.gram import add_kronecker_products
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.questions.base import KernelQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tangent:
    """Sums over rows at a coef, undivided; derivatives are by the point in the coordinates of the question.

    Attributes
    ----------
    value : float
    gradient : ndarray (size,)
    hessian : ndarray (size, size)
        Its positive part, where the loss is not convex.
    weight : float
    """

    value: float
    gradient: Array
    hessian: Array
    weight: float


@dataclass(frozen=True)
class TangentQuestion(KernelQuestion):
    """Loss sum, gradient and Hessian at a raw ``coef`` (size,), by the columns ``(x - center) * scale``.

    The solver's own Hessian is one of raw columns that is mapped afterwards, good enough for a step; this one is to
    stand for its rows, so it is summed of centred columns, in which nothing cancels.
    """

    coef: Array
    center: Array
    scale: Array

    def kernel(self, problem: Problem) -> Kernel:
        return TangentKernel(problem.loss, problem.layout, self.coef, self.center, self.scale, problem.held_out)

    def reply(self, problem: Problem, sums: Sums) -> Tangent:
        assert sums.value is not None and sums.hessian is not None and sums.weight is not None
        gradient, hessian = sums.hessian[0], 0.5 * (sums.hessian[1:] + sums.hessian[1:].T)
        if not problem.loss.is_convex:
            hessian = _positive_part(hessian)
        return Tangent(float(sums.value[0]), gradient, hessian, float(sums.weight[0]))


def _positive_part(matrix: Array) -> Array:
    values, vectors = linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


@dataclass(frozen=True)
class TangentKernel:
    """``sum_i w_i [l_i, d_i x u_i, C_i x u_i u_i^T]`` (Kronecker's product) with ``u = [(x - center) * scale, 1]``.

    d and C are the first and second derivatives of the loss by the raw predictions. The gradient is the first row of
    the sum that is called a Hessian: a block of few columns has no fewer numbers to tell.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
        Without scalars.
    point : ndarray (layout.size,)
        Raw coef.
    center, scale : ndarray (p,)
    held_out : int
        Fold to leave out, -1 for none.
    """

    loss: Loss
    layout: CoefLayout
    point: Array
    center: Array
    scale: Array
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        outputs, width = self.layout.num_outputs, self.layout.num_features + 1
        value, weight_sum = 0.0, 0.0
        gradient = np.zeros((outputs, width))
        hessian = np.zeros((outputs, width, outputs, width))
        weights, intercepts = self.layout.weights(self.point), self.layout.intercepts(self.point)
        for chunk in block.pieces(dense_chunk_rows(max(width, outputs**2))):
            weight, features = chunk.training_weight(self.held_out), chunk.features.dense()
            raw = features @ weights.T + intercepts
            if chunk.offset is not None:
                raw = raw + chunk.offset[:, None]
            design = np.column_stack([(features - self.center) * self.scale, np.ones(chunk.rows)])
            seen = raw if outputs > 1 else raw[:, 0]
            losses, derivative = self.loss.value_and_derivative(chunk.label, seen)
            curvature = self.loss.curvature(chunk.label, seen).reshape(-1, outputs, outputs) * weight[:, None, None]
            value += float(weight @ losses)
            weight_sum += float(weight.sum())
            gradient += (derivative.reshape(-1, outputs) * weight[:, None]).T @ design
            add_kronecker_products(hessian, design, curvature)
        order = self._order()
        matrix = np.vstack([gradient.reshape(-1)[order], hessian.reshape(outputs * width, -1)[np.ix_(order, order)]])
        return Sums(value=np.array([value]), weight=np.array([weight_sum]), hessian=matrix)

    def _order(self) -> npt.NDArray[np.intp]:
        """Where the entries of a coef are among those of all outputs, each with its intercept."""
        outputs, width = self.layout.num_outputs, self.layout.num_features + 1
        numbers = np.arange(outputs * width).reshape(outputs, width)
        return np.asarray(self.layout.pack(numbers[:, :-1], numbers[:, -1]))  # type: ignore[arg-type]

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=(self.layout.size + 1) * self.layout.size)
