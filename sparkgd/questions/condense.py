"""Condensing: many rows of a piecewise linear loss become few, with the same sum of losses wherever it matters.

Over rows that lie on one linear piece of the loss, the sum of losses is that of their mean row with the sum of their
weights. Where some of them leave the piece, the mean row's loss is too small, never too large (Jensen's inequality:
the loss is convex in label and raw prediction together). So with rows close to a kink kept as they are, and the mean
rows of all others, the objective is exact near the point of condensing and a lower bound everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.scan import add_offset
from sparkgd.kernels.sums import Entries
from sparkgd.losses.base import PIECES, Loss
from sparkgd.questions.base import KernelQuestion
from sparkgd.questions.epochs import Frame, frame_of
from sparkgd.questions.rows import as_columns, squared_lengths

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.int16]


PATHS = 31
"""Groups by the pieces between the first point and the last; a prime, so that paths spread evenly over them."""

EAGER = 1e-9
"""Factor of the distance to a kink for a row that was seen beyond it."""


@dataclass(frozen=True)
class CondenseQuestion(KernelQuestion):
    """The rows condensed at ``points`` (m, n), as one dense block.

    Attributes
    ----------
    points : ndarray (m, n)
        In solver coordinates, which are diagonal.
    kept, rows : int
        Rows to keep, of how many in all blocks.
    """

    points: Array
    kept: int
    rows: int

    def kernel(self, problem: Problem) -> Kernel:
        coefs = problem.coordinates.to_raw(self.points)
        return CondenseKernel(
            problem.loss, problem.layout, coefs, frame_of(problem), self.kept, self.rows, problem.held_out
        )

    def reply(self, problem: Problem, sums: Sums) -> Block:
        return condensed(sums)


@dataclass(frozen=True)
class CondenseKernel:
    """Keeps the rows that are most likely to change pieces, and sums the others in groups.

    Rows that lie on different pieces at different points come first, and then those with the least distance to a kink
    at the first point, relative to the row's length in solver coordinates: a long row moves far when these change. Each
    block keeps its share of ``kept``, by the numbers of its rows, so that memory and messages are bounded whatever the
    data. The rows of a group lie on one piece at the first point and on one at the last; of the points between, so
    many groups as there are `PATHS` know.

    Parameters
    ----------
    loss : Loss
        Piecewise linear, of one output.
    layout : CoefLayout
    points : ndarray (m, layout.size)
        The condensed objective is exact at the first and at the last.
    frame : Frame
        Solver coordinates.
    kept, rows : int
        Rows to keep, of how many in all blocks.
    held_out : int
        The fold whose rows are left out, -1 for none.
    """

    loss: Loss
    layout: CoefLayout
    points: Array
    frame: Frame
    kept: int
    rows: int
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        first, stop = (row * self.kept // self.rows for row in (block.first_row, block.first_row + block.rows))
        seen = [self._seen(chunk) for chunk in block.chunks()]
        is_kept = _is_least(np.concatenate([slack for _, slack in seen] or [np.empty(0)]), stop - first)
        groups = np.zeros((PIECES * PIECES * PATHS, block.features.num_features + 3))
        kept = [np.empty((groups.shape[1], 0))]
        for chunk, (group, _) in zip(block.chunks(), seen, strict=True):
            start = chunk.first_row - block.first_row
            inside, weight = is_kept[start : start + chunk.rows], chunk.training_weight(self.held_out)
            _add_groups(groups, chunk, np.where(inside, 0.0, weight), group)
            rows = np.flatnonzero(inside)
            kept.append(as_columns(chunk.take(rows), weight[rows]))
        return Sums(
            rows=np.concatenate(kept, axis=1), entries=Entries(np.arange(first, stop), self.kept), groups=groups
        )

    @property
    def answer_size(self) -> AnswerSize:
        numbers = self.layout.num_features + 3
        return AnswerSize(whole=PIECES * PIECES * PATHS * numbers, dealt=self.kept * numbers)

    def _seen(self, chunk: Block) -> tuple[Groups, Array]:
        """Each row's group, and how unlikely it is to leave it."""
        raw = chunk.features.dot(np.ascontiguousarray(self.layout.weights(self.points)[:, 0].T))
        raw += self.layout.intercepts(self.points)[:, 0]
        add_offset(raw, chunk, self.layout)
        piece, distance = self.loss.pieces(chunk.label[:, None], raw)
        slack = distance[:, 0] / self._lengths(chunk)
        slack[(piece != piece[:, :1]).any(axis=1)] *= EAGER
        slack[chunk.training_weight(self.held_out) == 0.0] = np.inf
        path = piece[:, 1:-1] @ (PIECES + 1) ** np.arange(len(self.points) - 2) if len(self.points) > 2 else 0
        return (piece[:, 0] + PIECES * (piece[:, -1] + PIECES * (path % PATHS))).astype(np.int16), slack

    def _lengths(self, chunk: Block) -> Array:
        """Of the rows in solver coordinates."""
        lengths = squared_lengths(chunk.features, self.frame.center, self.frame.scale) + self.frame.intercept_scale**2
        return np.asarray(np.sqrt(np.maximum(lengths, np.finfo(float).tiny)))


def _is_least(values: Array, count: int) -> npt.NDArray[np.bool_]:
    """Marks the ``count`` least values."""
    marked = np.full(len(values), count == len(values))
    if count < len(values):
        marked[np.argpartition(values, count)[:count]] = True
    return marked


def _add_groups(groups: Array, chunk: Block, weight: Array, group: Groups) -> None:
    """Add a chunk's rows to the sums of their groups, in place.

    All that is no feature is added up row by row, so that the mean of equal labels is that label, to the last bit.
    """
    present, place = np.unique(group, return_inverse=True)
    shares = np.zeros((chunk.rows, len(present)))
    shares[np.arange(chunk.rows), place] = weight
    groups[present, :-3] += chunk.features.transpose_dot(shares)
    offset = np.zeros(chunk.rows) if chunk.offset is None else chunk.offset
    for column, values in ((-3, weight * chunk.label), (-2, weight), (-1, weight * offset)):
        groups[present, column] += np.bincount(place, values, len(present))


def condensed(sums: Sums) -> Block:
    """The block of the rows that were kept and of the groups' mean rows, from the sums of `CondenseKernel`."""
    assert sums.rows is not None and sums.groups is not None
    groups = sums.groups[sums.groups[:, -2] > 0.0]
    weight = groups[:, -2].copy()
    means = groups / weight[:, None]
    means[:, -2] = weight
    rows = np.concatenate([sums.rows[:, sums.rows[-2] > 0.0].T, means])
    # Contiguous arrays, which have the same bits when they come back from a checkpoint.
    label, weight, offset = (np.ascontiguousarray(column) for column in rows[:, -3:].T)
    return Block(DenseFeatures(np.ascontiguousarray(rows[:, :-3])), label, weight, offset)
