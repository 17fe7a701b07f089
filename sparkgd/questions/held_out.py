"""What questions about held-out rows have in common: those about any number of models are answered in one scan."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Kernel, Sums
from sparkgd.kernels.held_out import HeldOutModels
from sparkgd.questions.base import Answer, KernelQuestion, Part

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeldOutQuestion(KernelQuestion):
    """A question about the rows of the fold that the problem holds out.

    Attributes
    ----------
    coef : ndarray (size,)
        Raw.
    is_weighted : bool
        Whether rows count by their weight; else every row counts 1.
    """

    coef: Array
    is_weighted: bool

    @abstractmethod
    def replies(self, group: Sequence[Part], sums: Sums) -> Sequence[Any]:
        """The replies to all questions of one key."""

    def kernel(self, problem: Problem) -> Kernel:
        return self.kernel_of(self.parts(problem))

    def reply(self, problem: Problem, sums: Sums) -> Any:
        return self.replies(self.parts(problem), sums)[0]

    def answers(self, group: Sequence[Part], sums: Sums) -> list[Answer]:
        return [Answer(reply, self.evaluated, np.empty(0)) for reply in self.replies(group, sums)]

    def models(self, group: Sequence[Part]) -> HeldOutModels:
        """The models that the questions of one key are about."""
        coefs = np.array([part.question.coef for part in group if isinstance(part.question, HeldOutQuestion)])
        folds = np.array([part.problem.held_out for part in group], dtype=np.int16)
        return HeldOutModels(group[0].problem.layout, coefs, folds, self.is_weighted)
