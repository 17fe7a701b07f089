"""The span of the rows, which holds the solution of a problem with L2: as few unknowns as there are rows.

With z the centred row scaled by ``1 / sqrt(l2_j)``, the penalty is ``|u|^2 / 2`` and the minimiser is a linear
combination of the rows (representer theorem; Kimeldorf and Wahba, 1970). From the singular value decomposition
``Z = U S V^T``, ``u = V v`` with v the minimiser over the rows of ``U S`` (Hastie and Tibshirani, 2004: Efficient
quadratic regularization for expression arrays).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.rows import RowsKernel, collected
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Objective
from sparkgd.solvers.base import Status
from sparkgd.solvers.newton import Newton
from sparkgd.training.auto import NEWTON_SIZE
from sparkgd.training.few_rows import FewRows
from sparkgd.training.loop import Task, train
from sparkgd.training.rounds import Engine
from sparkgd.training.stopping import Stopping

Array = npt.NDArray[np.float64]

ROWS_BYTES = 1 << 26
"""Size of the rows, made dense, up to which the driver collects them."""

TIGHT = 1e-16
"""Tolerance, near rounding: iterations cost little here, and a gap of 1e-16 still means a gradient of 1e-8."""


def has_few_rows(layout: CoefLayout, rows: int) -> bool:
    """Whether there are fewer rows than columns, and few enough to collect them and for Newton's method."""
    unknowns = layout.num_linear * rows + layout.num_intercepts
    return rows < layout.num_features and unknowns <= NEWTON_SIZE and 8 * rows * layout.num_features <= ROWS_BYTES


@dataclass(frozen=True, eq=False)
class RowSpace:
    """Rows in the coordinates of their span.

    Attributes
    ----------
    block : Block
        Rows of ``U S``.
    basis : ndarray (p, q)
        Orthonormal columns V.
    ridge : Diagonal
        Coordinates u in which the penalty is ``|u|^2 / 2``.
    """

    block: Block
    basis: Array
    ridge: Diagonal

    @property
    def layout(self) -> CoefLayout:
        """Of v."""
        return replace(self.ridge.layout, num_features=self.basis.shape[1])

    def raw_coef(self, reduced: Array) -> Array:
        """The raw coef that v, with its intercepts, stands for."""
        weights = self.layout.weights(reduced) @ self.basis.T
        return self.ridge.to_raw(self.ridge.layout.pack(weights, self.layout.intercepts(reduced)))


def row_space(block: Block, ridge: Diagonal) -> RowSpace:
    """The span of a block's rows."""
    transposed = (block.features.dense() - ridge.center).T * ridge.scale[:, None]
    basis, singular, rows = linalg.svd(transposed, full_matrices=False, overwrite_a=True, check_finite=False)
    return RowSpace(replace(block, features=DenseFeatures((singular[:, None] * rows).T)), basis, ridge)


def solve_in_row_space(task: Task, ridge: Diagonal, curvature: float, rows: int, engine: Engine) -> Array:
    """The raw coef that minimises a task's objective, by one round for the rows; the task's start if that fails.

    Parameters
    ----------
    task : Task
        Its loss must have a curvature, and its penalty be L2.
    ridge : Diagonal
        Scaled by ``1 / sqrt(l2_j)``.
    curvature : float
        Typical curvature of the loss.
    rows : int
        Of the whole dataset.
    engine : Engine
    """
    objective = task.objective
    sums = engine.round([RowsKernel(rows, objective.held_out)], f"{task.name}: rows")[0]
    space = row_space(collected(sums), ridge)
    outcome = train(FewRows([space.block]), [_reduced(task, space, curvature)])[0]
    return task.start if outcome.ending.status is Status.DIVERGED else space.raw_coef(outcome.coef)


def _reduced(task: Task, space: RowSpace, curvature: float) -> Task:
    """The task in the space: the same loss, a ridge of 1 and Newton's method."""
    layout, loss = space.layout, task.objective.loss
    features, ones = space.block.features.dense(), np.ones(layout.num_weights)
    moments = space.block.weight @ np.square(features) / task.weight_sum
    scale = 1.0 / np.sqrt(curvature * moments + 1.0)
    coordinates = Diagonal(layout, np.zeros(layout.num_features), scale, 1.0 / np.sqrt(curvature))
    objective = Objective(loss, layout, ElasticNet(0.0 * ones, ones), coordinates)
    start = layout.pack(
        np.zeros((layout.num_outputs, layout.num_features)), task.objective.layout.intercepts(task.start)
    )
    stopping = Stopping(task.stopping.max_iterations, TIGHT, task.stopping.max_seconds)
    return Task(objective, Newton(is_quadratic=loss.is_quadratic), stopping, start, task.weight_sum, task.name)
