"""The span of the rows, which holds the solution of a problem with L2: as few unknowns as there are rows.

With z the centred row scaled by ``1 / sqrt(l2_j)``, the penalty is ``|u|^2 / 2`` and the minimiser is a linear
combination of the rows (representer theorem; Kimeldorf and Wahba, 1970). From the singular value decomposition
``Z = U S V^T``, ``u = V v`` with v the minimiser over the rows of ``U S`` (Hastie and Tibshirani, 2004: Efficient
quadratic regularization for expression arrays).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import RowsQuestion
from sparkgd.reductions.base import Reduced, Reduction, Sense

Array: TypeAlias = npt.NDArray[np.float64]

ROWS_BYTES = 1 << 26
"""Size of the rows, made dense, up to which the driver collects them."""

MOST_UNKNOWNS = 1024
"""Unknowns for which Newton's method takes well under a second."""


@dataclass(frozen=True, eq=False)
class SpanProblem(Reduced):
    """A problem in the coordinates of the rows' span.

    Attributes
    ----------
    basis : ndarray (p, q)
        Orthonormal columns V.
    ridge : Diagonal
        Coordinates u in which the penalty is ``|u|^2 / 2``.
    """

    basis: Array
    ridge: Diagonal

    def lifted(self, coef: Array) -> Array:
        """The raw coef that v, with its intercepts, stands for."""
        layout = self.problem.layout
        weights = layout.weights(coef) @ self.basis.T
        return self.ridge.to_raw(self.ridge.layout.pack(weights, layout.intercepts(coef)))


@dataclass(frozen=True)
class RowSpan(Reduction):
    """All rows, rotated into the few columns that they span.

    Parameters
    ----------
    count : int
        Rows of the whole dataset.
    ridge : Diagonal or None
        Coordinates scaled by ``1 / sqrt(l2_j)``; None where the penalty is not L2 alone, of every column.
    curvature : float
        Typical curvature of the loss.
    """

    count: int
    ridge: Diagonal | None
    curvature: float

    sense: ClassVar[Sense] = Sense.SPAN

    def refusal(self, problem: Problem) -> str | None:
        """More rows than columns, or than the driver can work with; another penalty than L2; no curvature."""
        layout = problem.layout
        if self.ridge is None:
            return "the penalty is not L2 of every column"
        if not problem.loss.has_curvature:
            return f"the {problem.loss.name} loss has no curvature"
        unknowns, size = layout.num_linear * self.count + layout.num_intercepts, 8 * self.count * layout.num_features
        if self.count < layout.num_features and unknowns <= MOST_UNKNOWNS and size <= ROWS_BYTES:
            return None
        return f"{self.count} rows are too many"

    def question(self, problem: Problem, points: Array) -> RowsQuestion:
        """The rows."""
        return RowsQuestion(self.count, problem.layout.num_features)

    def reduced(self, problem: Problem, reply: Block | None) -> SpanProblem:
        """The same loss over v, with a ridge of 1, scaled by the curvature of each of its columns."""
        assert reply is not None and self.ridge is not None
        block, basis = spanned(reply, self.ridge)
        layout = replace(problem.layout, num_features=basis.shape[1])
        features, ones = block.features.dense(), np.ones(layout.num_weights)
        moments = block.weight @ np.square(features) / problem.weight_sum
        scale = 1.0 / np.sqrt(self.curvature * moments + 1.0)
        coordinates = Diagonal(layout, np.zeros(layout.num_features), scale, 1.0 / np.sqrt(self.curvature))
        over_v = Problem(problem.loss, layout, ElasticNet(0.0 * ones, ones), coordinates, weight_sum=problem.weight_sum)
        return SpanProblem(over_v, LocalRows([block]), basis, self.ridge)

    def start(self, span: SpanProblem, problem: Problem, coef: Array) -> Array:
        """Where to begin in the span, with the intercepts of a raw coef."""
        layout: CoefLayout = span.problem.layout
        return layout.pack(np.zeros((layout.num_outputs, layout.num_features)), problem.layout.intercepts(coef))


def spanned(block: Block, ridge: Diagonal) -> tuple[Block, Array]:
    """Rows of ``U S``, and V of shape (p, q)."""
    transposed = (block.features.dense() - ridge.center).T * ridge.scale[:, None]
    basis, singular, rows = linalg.svd(transposed, full_matrices=False, overwrite_a=True, check_finite=False)
    return replace(block, features=DenseFeatures((singular[:, None] * rows).T)), basis
