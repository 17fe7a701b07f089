"""The Hessian of a sample of the rows, for a solver that takes its gradients from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.problems.problem import Problem
from sparkgd.questions.product import FixedHessian, products_of

Array: TypeAlias = npt.NDArray[np.float64]

DAMPING = 0.003
"""Added to a curvature that is about 1 in solver coordinates: the sample may miss as much."""

ACCURACY = 0.2
"""Residual, relative to the right side, with which a system is solved: the sample is not much more accurate."""

MAX_PRODUCTS = 30
"""Products for one system."""

MOST_CURVATURES = 1e7
"""Second derivatives of a sample's rows up to which a product takes no more than tenths of a second."""


class SampledHessian:
    """``H_S(u) + 0.003 I``, H_S the Hessian over a sample S, at one point u in solver coordinates.

    Steps by the inverse of such a matrix along exact gradients are sub-sampled Newton steps (Byrd, Chin, Neveitt and
    Nocedal, 2011: On the use of stochastic Hessian information in optimization methods for machine learning; Roosta
    and Mahoney, 2019: Sub-sampled Newton methods). They converge linearly, at the rate at which H_S differs from the
    Hessian over all rows; L-BFGS makes good for the difference. The damping bounds the steps in directions of which
    the sample knows nothing (Shamir, Srebro and Zhang, 2014: Communication-efficient distributed optimization using an
    approximate Newton-type method).

    Systems are solved by conjugate gradients without forming H_S: the diagonal blocks of the outputs alone, or a
    Kronecker product, which could be factored, tell too little of how outputs vie with each other (on mnist they
    saved no rounds, the whole of H_S three in four).

    Parameters
    ----------
    problem : Problem
    blocks : sequence of Block
        The sample.
    point : ndarray (n,)
    """

    def __init__(self, problem: Problem, blocks: Sequence[Block], point: Array) -> None:
        self._problem = problem
        coef = problem.coordinates.to_raw(point)
        self._sums = FixedHessian(problem.loss, problem.layout, coef, blocks, problem.held_out)

    def solve(self, vector: Array) -> Array:
        """Conjugate gradients from zero for ``(H_S(u) + 0.003 I) x = vector``, of shape (n,).

        Cut off where the loss is not convex (Steihaug, 1983); even so x has a positive product with the vector.
        """
        solution, residual, direction = np.zeros_like(vector), vector, vector
        square = float(vector @ vector)
        target = ACCURACY**2 * square
        for _ in range(MAX_PRODUCTS):
            if square <= target:
                break
            product = self.product(direction)
            curvature = float(direction @ product)
            if not curvature > 0.0:
                break
            solution = solution + (square / curvature) * direction
            residual = residual - (square / curvature) * product
            before, square = square, float(residual @ residual)
            direction = residual + (square / before) * direction
        return solution if solution.any() else vector

    def product(self, vector: Array) -> Array:
        """``(H_S(u) + 0.003 I) vector``, of shape (n,)."""
        sums = self._sums.product(self._problem.coordinates.to_raw(vector))
        product = products_of(self._problem, vector[None, :], sums[None, :], self._sums.weight)[0]
        return np.asarray(product + DAMPING * vector)


@dataclass(frozen=True, eq=False)
class SampledMetric:
    """The Hessian of a sample as the metric of L-BFGS."""

    problem: Problem
    blocks: Sequence[Block]

    def at(self, point: Array) -> SampledHessian:
        """The model at a point."""
        return SampledHessian(self.problem, self.blocks, point)


def metric_of(problem: Problem, sample: Sequence[Block]) -> SampledMetric | None:
    """The metric by a sample; None where there is none, or where it does not pay.

    Under L1 the pairs and the steps of L-BFGS keep to the linear pieces of the penalty, which the metric does not know:
    steps end early there, and more of them are needed than without.
    """
    loss, rows = problem.loss, sum(block.rows for block in sample)
    is_cheap = rows * loss.num_outputs**2 <= MOST_CURVATURES
    is_known = loss.has_curvature and problem.penalty_on_coef.is_smooth
    return SampledMetric(problem, sample) if is_known and is_cheap else None
