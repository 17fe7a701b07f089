"""The Gram matrix of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.questions.base import KernelQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GramQuestion(KernelQuestion):
    """The Gram matrix (p, p) of the columns ``(x - center) * scale``."""

    center: Array
    scale: Array

    def kernel(self, problem: Problem) -> Kernel:
        return GramKernel(self.center, self.scale, problem.held_out)

    def reply(self, problem: Problem, sums: Sums) -> Array:
        assert sums.hessian is not None
        return sums.hessian


@dataclass(frozen=True)
class GramKernel:
    """``sum weight * u u^T`` with ``u = (x - center) * scale``: centred chunk by chunk, so that nothing cancels."""

    center: Array
    scale: Array
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        gram = np.zeros((len(self.center), len(self.center)))
        for chunk in block.dense_chunks():
            root = np.sqrt(chunk.training_weight(self.held_out))
            values = (chunk.features.dense() - self.center) * self.scale * root[:, None]
            gram += values.T @ values
        return Sums(hessian=gram)

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=len(self.center) ** 2)
