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
    """Of the rows ``scale * (x - center)``; nothing is made dense."""
    square = np.square(scale)
    lengths = features.squared().dot(square) - 2.0 * features.dot(center * square)
    return np.asarray(lengths + np.square(center) @ square)


def collected(sums: Sums) -> Block:
    """The block of all rows of positive weight, from the sums of `RowsKernel`."""
    assert sums.rows is not None
    used = sums.rows[:, sums.rows[-2] > 0.0]
    return Block(DenseFeatures(used[:-3].T), used[-3], used[-2], used[-1])
