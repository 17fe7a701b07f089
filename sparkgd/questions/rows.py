"""The rows themselves, for data of so few that the driver can hold them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.features import DenseFeatures, Features
from sparkgd.kernels.sums import Entries
from sparkgd.questions.base import KernelQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]

FAR = 1e4
"""Mean of a column, in deviations, from which expanded squares of centred values are not accurate enough.

Expanding costs the square of it in digits: here half of the sixteen.
"""


@dataclass(frozen=True)
class RowsQuestion(KernelQuestion):
    """The rows of positive weight, of the problem's folds, as one dense block.

    Attributes
    ----------
    count, width : int
        Rows, those of zero weight included, and features.
    step : int
        Only every ``step``-th row is wanted.
    """

    count: int
    width: int
    step: int = 1

    def kernel(self, problem: Problem) -> Kernel:
        return RowsKernel(self.count, self.width, problem.held_out, self.step)

    def reply(self, problem: Problem, sums: Sums) -> Block:
        return collected(sums)


@dataclass(frozen=True)
class RowsKernel:
    """Every row in a column of its own: features, label, weight and offset. Adding up then collects them.

    Parameters
    ----------
    count : int
        Rows of the whole dataset.
    width : int
        Features.
    held_out : int
        The fold whose rows get the weight 0, -1 for none.
    step : int
        Only every ``step``-th row is taken.
    """

    count: int
    width: int
    held_out: int = -1
    step: int = 1

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(dealt=-(-self.count // self.step) * (self.width + 3))

    def __call__(self, block: Block) -> Sums:
        block = self._thinned(block)
        columns = as_columns(block, block.training_weight(self.held_out))
        numbers = np.arange(block.first_row, block.first_row + block.rows)
        return Sums(rows=columns, entries=Entries(numbers, -(-self.count // self.step)))

    def _thinned(self, block: Block) -> Block:
        if self.step == 1:
            return block
        taken = np.arange(-block.first_row % self.step, block.rows, self.step)
        return replace(block.take(taken), first_row=-(-block.first_row // self.step))


def as_columns(block: Block, weight: Array) -> Array:
    """Each row a column: features, label, weight and offset; of shape (p + 3, n)."""
    offset = np.zeros(block.rows) if block.offset is None else block.offset
    return np.vstack([block.features.dense().T, block.label, weight, offset])


def squared_lengths(features: Features, center: Array, scale: Array) -> Array:
    """Of the rows ``scale * (x - center)``, never negative; only columns that are dense anyway are made dense.

    The squares are expanded, so that zeros cost nothing. In columns `FAR` from zero that would leave little but
    rounding, so these are centred first: a mean of so many deviations is one of values nearly all of which are stored.

    Parameters
    ----------
    features : Features
        n rows, as few as make a chunk.
    center, scale : ndarray (p,)
        The mean of each column and about the inverse of its deviation, or a smaller number.

    Returns
    -------
    ndarray (n,)
    """
    is_far = np.abs(center * scale) > FAR
    if not is_far.any():
        return _expanded_lengths(features, center, scale)
    near, far = np.flatnonzero(~is_far), np.flatnonzero(is_far)
    centred = (features.among(far).dense() - center[far]) * scale[far]
    return np.asarray(
        _expanded_lengths(features.among(near), center[near], scale[near]) + np.square(centred).sum(axis=1)
    )


def _expanded_lengths(features: Features, center: Array, scale: Array) -> Array:
    """The same for columns that are not `FAR`; rounding may leave a row at the center slightly below zero."""
    square = np.square(scale)
    lengths = features.squared().dot(square) - 2.0 * features.dot(center * square)
    return np.asarray(np.maximum(lengths + np.square(center) @ square, 0.0))


def collected(sums: Sums) -> Block:
    """The block of all rows of positive weight, from the sums of `RowsKernel`."""
    assert sums.rows is not None
    used = sums.rows[:, sums.rows[-2] > 0.0]
    # Contiguous arrays, which have the same bits, and the same speed, when they come back from a checkpoint.
    label, weight, offset = (np.ascontiguousarray(row) for row in used[-3:])
    return Block(DenseFeatures(np.ascontiguousarray(used[:-3].T)), label, weight, offset)
