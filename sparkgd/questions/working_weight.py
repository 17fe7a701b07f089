"""The sum of the working weights of iteratively reweighted least squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.scan import add_offset
from sparkgd.questions.base import KernelQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WorkingWeightQuestion(KernelQuestion):
    """The mean working weight of a row at ``coef`` (size,), a raw one.

    Attributes
    ----------
    information : callable
        Expected curvature of the loss of a row at its raw prediction; picklable.
    coef : ndarray (size,)
    """

    information: Callable[[Array], Array]
    coef: Array

    def kernel(self, problem: Problem) -> Kernel:
        return WorkingWeightKernel(self.information, problem.layout, self.coef, problem.held_out)

    def reply(self, problem: Problem, sums: Sums) -> float:
        assert sums.weight is not None
        return float(sums.weight[0]) / problem.weight_sum


@dataclass(frozen=True)
class WorkingWeightKernel:
    """``sum_i weight_i * information(z_i)`` at one point, z the raw prediction.

    Parameters
    ----------
    information : callable
        Expected curvature of the loss of a row, ``m'(z)^2 / variance(m(z))``; picklable.
    layout : CoefLayout
    point : ndarray (layout.size,)
    held_out : int
        Fold to leave out, -1 for none.
    """

    information: Callable[[Array], Array]
    layout: CoefLayout
    point: Array
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        total = 0.0
        weights = np.ascontiguousarray(self.layout.weights(self.point).T)
        for chunk in block.chunks():
            raw = chunk.features.dot(weights) + self.layout.intercepts(self.point)
            add_offset(raw, chunk, self.layout)
            total += float(chunk.training_weight(self.held_out) @ self.information(raw[:, 0]))
        return Sums(weight=np.array([total]))

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=1)
