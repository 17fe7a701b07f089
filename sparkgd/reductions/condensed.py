"""Rows condensed around given points, for piecewise linear losses: those near a kink, and the mean rows of all others.

The condensed problem is nowhere above the problem itself, and the same at the points (see
`sparkgd.questions.condense`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.problems.problem import Problem
from sparkgd.questions import CondenseQuestion
from sparkgd.reductions.base import Reduced, Reduction, Sense

Array: TypeAlias = npt.NDArray[np.float64]

MOST_COLUMNS = 1024
"""Columns of rows so short that the driver can hold thousands of them."""


@dataclass(frozen=True)
class Condensed(Reduction):
    """Some rows as they are, and means of all others.

    Parameters
    ----------
    kept, count : int
        Rows to keep, of how many in all.
    """

    kept: int
    count: int

    sense: ClassVar[Sense] = Sense.BELOW

    def refusal(self, problem: Problem) -> str | None:
        """A loss that is not made of linear pieces; rows too long."""
        if not problem.loss.is_piecewise_linear:
            return f"the {problem.loss.name} loss is not piecewise linear"
        return None if problem.layout.size <= MOST_COLUMNS else f"{problem.layout.size} coefs are too many"

    def question(self, problem: Problem, points: Array) -> CondenseQuestion:
        """The rows condensed at the points."""
        return CondenseQuestion(points, self.kept, self.count)

    def reduced(self, problem: Problem, reply: Block | None) -> Reduced:
        """The same problem over the condensed rows."""
        assert reply is not None
        return Reduced(problem, LocalRows([reply]))
