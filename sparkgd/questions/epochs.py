"""Local epochs: stochastic steps on the rows of one block, from a common starting point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.wide import WideFeatures
from sparkgd.losses.base import Loss
from sparkgd.questions.base import KernelQuestion, Reply

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

FOLDING = 2.0
"""Values stepped over for each column folded: how many rows pass between two foldings."""

FOLDINGS = 32
"""Least number of foldings in an epoch, for only there are iterates averaged."""

LINE = 8
"""Numbers of a cache line."""

DELAY = 0.5
"""Largest change of a weight by L2's drift between two foldings, as a share of the weight: how old it may get."""

PROXIMAL_DELAY = 2.0
"""The same where L2 is a proximal step, which cannot overshoot, at the foldings."""


@dataclass(frozen=True)
class EpochQuestion(KernelQuestion):
    """Local epochs: stochastic steps over the rows of each partition, all from ``point`` (n,).

    Steps are taken in the problem's coordinates, which are diagonal; the kernel's are raw, centred ones.

    Attributes
    ----------
    point : ndarray (n,)
    first_step, last_step : float
        Step sizes fall geometrically from one to the other within an epoch.
    epochs : int
        How often each partition goes over its rows.
    seed, round : int
        They decide the order of the rows.
    damping : float
        Typical curvature of the loss: rows with large features take smaller steps.
    anchor_gradient : ndarray (n,) or None
        Gradient of f at ``point``, for variance reduction.
    """

    point: Array
    first_step: float
    last_step: float
    epochs: int = 1
    seed: int = 0
    round: int = 0
    damping: float = 1.0
    anchor_gradient: Array | None = None

    @property
    def evaluated(self) -> Array:
        return self.point[None, :]

    def kernel(self, problem: Problem) -> Kernel:
        layout = problem.layout
        steps = Steps(
            self.first_step, self.last_step, self.epochs, damping=self.damping, seed=self.seed, round=self.round
        )
        return EpochKernel(
            problem.loss,
            layout,
            problem.coordinates.to_raw(self.point),
            frame_of(problem),
            steps,
            problem.penalty.smooth_curvature(layout.num_weights).reshape(layout.num_outputs, layout.num_features),
            self._centred_loss_gradient(problem),
            problem.held_out,
        )

    def reply(self, problem: Problem, sums: Sums) -> Reply:
        """Entry by entry the mean move, weighted by information."""
        assert sums.move is not None and sums.information is not None
        known, factor = np.where(sums.information > 0.0, sums.information, 1.0), problem.coordinates.diagonal().factor
        move = sums.move / known / np.where(factor > 0.0, factor, 1.0)
        return Reply(np.empty(0), np.empty((0, 0)), local_point=self.point + move)

    def _centred_loss_gradient(self, problem: Problem) -> Array | None:
        """Gradient of the mean loss in raw weights of centred columns, from that of f in solver coordinates."""
        if self.anchor_gradient is None:
            return None
        diagonal = problem.coordinates.diagonal()
        penalty = problem.penalty_on_coef.smooth_gradient(diagonal.to_raw(self.point))
        gradient = self.anchor_gradient - diagonal.pull(penalty)
        return np.asarray(gradient / np.where(diagonal.factor > 0.0, diagonal.factor, 1.0))


def frame_of(problem: Problem) -> Frame:
    """The problem's (diagonal) coordinates as kernels take them."""
    diagonal = problem.coordinates.diagonal()
    return Frame(diagonal.center, diagonal.scale, diagonal.intercept_scale if problem.layout.fit_intercept else 0.0)


@dataclass(frozen=True)
class Frame:
    """The scaled and centred columns ``scale * (x - center)`` in which steps are meant.

    Attributes
    ----------
    center, scale : ndarray (p,)
    intercept_scale : float
        0 where no intercept is fitted.
    """

    center: Array
    scale: Array
    intercept_scale: float


@dataclass(frozen=True)
class Steps:
    """How an epoch steps.

    Attributes
    ----------
    first, last : float
        Step sizes fall geometrically from one to the other within an epoch.
    epochs : int
        Passes over the block, each from the mean of the last one's iterates.
    average_from : float
        Share of an epoch after which its iterates are averaged, in [0, 1).
    damping : float
        Typical curvature of the loss.
    seed, round : int
        Which order of the rows.
    """

    first: float
    last: float
    epochs: int = 1
    average_from: float = 0.8
    damping: float = 1.0
    seed: int = 0
    round: int = 0


@dataclass(frozen=True)
class EpochKernel:
    """Stochastic steps over the rows of a block in random order, from ``start``, and where they lead.

    The reply is ``information * move`` and ``information``, entry by entry of a coef ``[weights, b']``, ``b'`` being
    the intercept of centred columns. The information on an intercept is the block's weight sum; that on the weight of
    column j is ``sum weight * (damping * x_j^2 + l2_j)``. So blocks of like rows are averaged by weight sum, while a
    column that one block never sees is left to those that do.

    Parameters
    ----------
    loss : Loss
        With a `row_derivative`.
    layout : CoefLayout
    start : ndarray (layout.size,)
    frame : Frame
    steps : Steps
    l2 : ndarray (K, p)
        Weights of L2.
    anchor_gradient : ndarray (layout.size,) or None
        Mean gradient of the loss at ``start``, of the centred columns. With it, steps are ``g_i(u) - g_i(start) +
        anchor_gradient`` (SVRG; Johnson and Zhang, 2013), whose noise and whose pull towards the block's own optimum
        both vanish as u and start approach the optimum.
    held_out : int
        Fold whose rows are left out, -1 for none.
    """

    loss: Loss
    layout: CoefLayout
    start: Array
    frame: Frame
    steps: Steps
    l2: Array
    anchor_gradient: Array | None = None
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        weight = np.asarray(block.training_weight(self.held_out))
        rows = np.flatnonzero(weight > 0.0).astype(np.int64)
        if len(rows) == 0:
            return Sums()
        start_weights, start_intercepts = self._unpacked(self.start)
        weights, intercepts = start_weights, start_intercepts
        relative = weight / weight[rows].mean()
        measures, squares = self._measured(block, weight)
        for epoch in range(self.steps.epochs):
            order = self._order(rows, block, epoch)
            weights, intercepts = self._epoch(block, relative, order, measures, weights, intercepts)
        move = np.where(self.frame.scale[:, None] > 0.0, weights - start_weights, 0.0)
        centred_move = intercepts - start_intercepts + self.frame.center @ move
        information = self._information(squares, float(weight.sum()))
        return Sums(move=information * self.layout.pack(move.T, centred_move), information=information)

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(by_coef=2 * self.layout.size)

    def _measured(self, block: Block, weight: Array) -> tuple[Array, Array]:
        """What epochs need of each row, and the weighted sum of squares of each column."""
        frame, measures, squares = self.frame, np.empty((block.rows, 2)), np.zeros(self.layout.num_features)
        _compiled().measure(
            *_csr(block), weight, frame.scale**2, frame.center, frame.intercept_scale**2, measures, squares
        )
        return measures, squares

    def _information(self, squares: Array, weight_sum: float) -> Array:
        known = self.steps.damping * squares + weight_sum * self.l2
        return self.layout.pack(known, np.full(self.layout.num_outputs, weight_sum))

    def _order(self, rows: Rows, block: Block, epoch: int) -> Rows:
        """The rows in an order that depends on seed, round, epoch and the block's place in the data alone."""
        key = (self.steps.seed, self.steps.round, epoch, block.first_row)
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).permutation(rows)

    def _unpacked(self, coef: Array) -> tuple[Array, Array]:
        """Weights (p, K) and intercepts (K,)."""
        return np.ascontiguousarray(self.layout.weights(coef).T), np.array(self.layout.intercepts(coef))

    def _epoch(
        self, block: Block, weight: Array, rows: Rows, measures: Array, weights: Array, intercepts: Array
    ) -> tuple[Array, Array]:
        """Mean weights and intercepts of the iterates of one epoch."""
        frame, steps, outputs = self.frame, self.steps, self.layout.num_outputs
        parts = [frame.scale**2, weights]
        anchor_intercepts, gradient = np.empty(0), (np.empty((0, outputs)), np.empty(0))
        if self.anchor_gradient is not None:
            anchor, anchor_intercepts = self._unpacked(self.start)
            parts += [np.zeros_like(weights), anchor]
            gradient = self._unpacked(self.anchor_gradient)
        table, state = _side_by_side(parts), np.zeros((5, outputs))
        state[0] = intercepts + frame.center @ weights
        mean, mean_intercepts = np.zeros_like(weights), np.zeros(outputs)
        stride = self._stride(block)
        _compiled().run_epoch(
            *_csr(block), rows, block.label, np.empty(0) if block.offset is None else block.offset, weight,
            _derivative(type(self.loss)), self.loss.row_parameter, steps.damping,
            steps.first, steps.last, stride, min(int(steps.average_from * len(rows)), max(len(rows) - stride, 0)),
            table, state, measures, frame.center, frame.intercept_scale**2, np.ascontiguousarray(self.l2.T),
            anchor_intercepts, *gradient, mean, mean_intercepts,
        )  # fmt: skip
        return mean, mean_intercepts

    def _stride(self, block: Block) -> int:
        """Rows between two foldings: enough that folding is cheap, few enough that L2's gradient stays fresh."""
        per_row = max(block.features.stored / max(block.rows, 1), 1.0)
        cheap = FOLDING * self.layout.num_features / per_row
        decay = self.steps.first * float(np.max(self.l2 * self.frame.scale**2, initial=0.0))
        delay = PROXIMAL_DELAY if self.anchor_gradient is None else DELAY
        return max(int(min(cheap, delay / decay if decay > 0.0 else np.inf, block.rows / FOLDINGS)), 1)


def _csr(block: Block) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Values, indices and row pointers; a dense block has no indices."""
    match block.features:
        case CsrFeatures(values, indices, indptr, _):
            return np.asarray(values), np.asarray(indices, dtype=np.int32), indptr
        case WideFeatures() as wide:
            return _csr(replace(block, features=wide.csr()))
        case DenseFeatures(values):
            rows, width = values.shape
            return np.asarray(values).reshape(-1), np.empty(0, dtype=np.int32), np.arange(rows + 1) * width
        case other:
            raise IncompatibleError(f"local solvers take dense or CSR features, not {type(other).__name__}")


def _side_by_side(parts: list[Array]) -> Array:
    """The columns of all parts in one matrix that begins at a cache line."""
    columns = [part[:, None] if part.ndim == 1 else part for part in parts]
    shape = (len(columns[0]), sum(part.shape[1] for part in columns))
    memory = np.empty(shape[0] * shape[1] + LINE)
    skip = -(memory.ctypes.data // 8) % LINE
    table = memory[skip : skip + shape[0] * shape[1]].reshape(shape)
    np.concatenate(columns, axis=1, out=table)
    return table


@cache
def _derivative(loss: type[Loss]) -> Any:
    return _compiled().compiled_derivative(loss.row_derivative)


@cache
def _compiled() -> Any:
    """The module of compiled loops.

    Raises
    ------
    IncompatibleError
        If numba is missing.
    """
    try:
        from sparkgd.kernels import compiled
    except ImportError as error:
        raise IncompatibleError(
            "the local solvers compile their row loop with numba, which is not installed here; install sparkgd[fast] "
            "on the driver and on every executor, or choose another solver"
        ) from error
    return compiled
