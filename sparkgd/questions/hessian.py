"""The Hessian at a point, with value and gradient."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.gram import grams_of
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.questions.base import Answer, KernelQuestion, Part, Reply
from sparkgd.questions.gradient import GradientKernel, reply_at

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HessianQuestion(KernelQuestion):
    """Value, gradient and Hessian of f at ``point`` (n,); of the Hessian only some ``entries``, ascending, if given.

    With ``caution`` above 0 the loss is taken to be `curved` by such a share, where it is straight.

    Models that leave out different folds and ask at the same coef share a scan: the Hessian of each fold is summed
    once, and each model adds up those of the others.
    """

    point: Array
    entries: npt.NDArray[np.intp] | None = None
    caution: float = 0.0

    @property
    def evaluated(self) -> Array:
        return self.point[None, :]

    def shared_key(self, problem: Problem) -> Hashable:
        if problem.held_out < 0:
            return super().shared_key(problem)
        entries = None if self.entries is None else self.entries.tobytes()
        coef = problem.coordinates.to_raw(self.point).tobytes()
        return type(self), problem.loss, problem.layout, coef, entries, self.caution

    def kernel(self, problem: Problem) -> HessianKernel:
        columns = None if self.entries is None else problem.layout.columns_of(self.entries)
        coef = problem.coordinates.to_raw(self.point)
        loss = problem.loss.curved(self.caution) if self.caution else problem.loss
        return HessianKernel(loss, problem.layout, coef, problem.held_out, columns)

    def kernel_of(self, group: Sequence[Part]) -> Kernel:
        kernel = self.kernel(group[0].problem)
        if len(group) == 1:
            return kernel
        return replace(kernel, held_out=-1, folds=tuple(part.problem.held_out for part in group))

    def answers(self, group: Sequence[Part], sums: Sums) -> list[Answer]:
        if len(group) == 1:
            return super().answers(group, sums)
        found, folds = [], [part.problem.held_out for part in group]
        for number, part in enumerate(group):
            own = _left_out(sums, number, folds)
            found.append(Answer.of(part.question.reply(part.problem, own), part.question.evaluated, own))
        return found

    def reply(self, problem: Problem, sums: Sums) -> Reply:
        assert sums.hessian is not None and sums.weight is not None
        reply = reply_at(problem, self.point[None, :], sums, sums.weight)
        coordinates, curvature = problem.coordinates, problem.penalty_on_coef.smooth_curvature(problem.layout.size)
        numbers = None
        if self.entries is not None:
            columns = problem.layout.columns_of(self.entries)
            coordinates, known = coordinates.restricted(columns), problem.layout.restricted(columns)[1]
            curvature, numbers = known.of(curvature), known.numbers
        # The map is linear: pulling the rows, then the columns, gives T^T H T.
        weight_sum = sums.weight[0] + problem.past.weight
        hessian = coordinates.pull(coordinates.pull(sums.hessian / weight_sum + np.diag(curvature)).T)
        hessian = problem.past.curved(hessian, problem.coordinates, weight_sum, numbers)
        if self.entries is not None:
            assert numbers is not None
            places = np.searchsorted(numbers, self.entries)
            hessian = hessian[np.ix_(places, places)]
        return replace(reply, hessian=0.5 * (hessian + hessian.T))


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
    folds : tuple of int
        With m of these, loss and gradient leave out each of them in turn, and the Hessian, of shape (g + 1, s, s), is
        that of the rows of each of the g different ones, and of all other rows.
    """

    loss: Loss
    layout: CoefLayout
    point: Array
    held_out: int = -1
    columns: npt.NDArray[np.intp] | None = None
    folds: tuple[int, ...] = ()

    def __call__(self, block: Block) -> Sums:
        layout, outputs = self.layout, self.layout.num_outputs
        if self.columns is not None:
            layout = replace(layout, num_features=len(self.columns))
        first, second = np.triu_indices(outputs)
        gradient, entries = self._gradient(), None
        if block.features.columns is not None:
            inside, entries = self.layout.restricted(block.features.columns)
            gradient = replace(gradient, layout=inside, points=entries.of(gradient.points))
        different = sorted(set(self.folds))
        grams = [grams_of(block, len(first), layout.num_features) for _ in range(len(different) + 1)]
        scan = gradient.scan()
        for chunk in block.chunks(max(len(self.folds), 1) * outputs):
            raw = scan.add(chunk.narrow())[:, 0]
            curvature = weighted_curvature(self, chunk, raw)[:, first, second]
            if self.columns is not None:
                chunk = chunk.among(self.columns)
            for gram, rows in zip(grams, _by_fold(chunk, different), strict=True):
                part = chunk if len(rows) == chunk.rows else chunk.take(rows)
                gram.add(*_curved(part, curvature[rows]))
        hessians = [_in_coef_order(gram.totals(), outputs, layout) for gram in grams]
        hessian = np.array(hessians) if self.folds else hessians[0]
        return replace(scan.sums(), entries=entries) + Sums(hessian=hessian)

    def _gradient(self) -> GradientKernel:
        if not self.folds:
            return scan_at_point(self)
        points = np.tile(self.point, (len(self.folds), 1))
        return GradientKernel(self.loss, self.layout, points, np.array(self.folds, dtype=np.int16))

    @property
    def answer_size(self) -> AnswerSize:
        layout = self.layout if self.columns is None else replace(self.layout, num_features=len(self.columns))
        points, hessians = max(len(self.folds), 1), len(set(self.folds)) + 1
        return AnswerSize(by_coef=points * self.layout.size, whole=hessians * layout.size**2)


def _by_fold(chunk: Block, folds: Sequence[int]) -> list[npt.NDArray[np.intp]]:
    """The rows of each fold, and at the end those of none of them."""
    if chunk.fold is None or not folds:
        return [np.arange(0) for _ in folds] + [np.arange(chunk.rows)]
    rows = [np.flatnonzero(chunk.fold == fold) for fold in folds]
    return [*rows, np.flatnonzero(~np.isin(chunk.fold, folds))]


def _left_out(sums: Sums, number: int, folds: Sequence[int]) -> Sums:
    """The sums of a model that leaves out one of the folds; added up, since to subtract could leave but noise."""
    assert sums.hessian is not None
    different = sorted(set(folds))
    others = [part for part, fold in zip(sums.hessian, [*different, None], strict=True) if fold != folds[number]]
    own: dict[str, Any] = {"hessian": reduce(np.add, others)}
    for name in ("value", "gradient", "weight", "held_out_value", "held_out_weight"):
        array = getattr(sums, name)
        own[name] = None if array is None else array[number : number + 1]
    return Sums(**own)


def _curved(chunk: Block, weights: Array) -> tuple[Block, Array]:
    """Without the rows that weigh nothing, where they are many: most rows of a hinge loss lie on its straight parts."""
    rows = np.flatnonzero(weights.any(axis=1))
    return (chunk, weights) if 2 * len(rows) > chunk.rows else (chunk.take(rows), weights[rows])


class PointKernel(Protocol):
    """What a kernel about one point has."""

    @property
    def loss(self) -> Loss: ...
    @property
    def layout(self) -> CoefLayout: ...
    @property
    def point(self) -> Array: ...
    @property
    def held_out(self) -> int: ...


def scan_at_point(kernel: PointKernel) -> GradientKernel:
    """Loss and gradient at the point of another kernel."""
    held = None if kernel.held_out < 0 else np.array([kernel.held_out], dtype=np.int16)
    return GradientKernel(kernel.loss, kernel.layout, kernel.point[None, :], held)


def weighted_curvature(kernel: PointKernel, chunk: Block, raw: Array) -> Array:
    """Second derivatives (r, K, K) by the raw predictions of a chunk's rows, times their weights."""
    outputs = kernel.layout.num_outputs
    curvature = kernel.loss.curvature(chunk.label, raw).reshape(chunk.rows, outputs, outputs)
    return np.asarray(curvature * chunk.training_weight(kernel.held_out)[:, None, None])


def _in_coef_order(totals: Array, outputs: int, layout: CoefLayout) -> Array:
    """Blocks (p + 1, p + 1) of the upper triangle of outputs, as one symmetric matrix in the order of a coef."""
    p, columns = layout.num_features, totals.shape[1]
    blocks = np.zeros((outputs, outputs, *totals.shape[1:]))
    blocks[np.triu_indices(outputs)] = totals
    for k in range(outputs):
        for other in range(k):
            blocks[k, other] = blocks[other, k].T
    flat = np.swapaxes(blocks, 1, 2).reshape(outputs * columns, -1)
    starts = np.arange(outputs) * columns
    weights = (starts[: layout.num_linear, None] + np.arange(p)).reshape(-1)
    order = np.concatenate([weights, starts[outputs - layout.num_intercepts :] + p])
    return np.asarray(flat[np.ix_(order, order)])
