"""What every reduction says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.problems.problem import Problem
from sparkgd.questions.base import Question

Array: TypeAlias = npt.NDArray[np.float64]


class Sense(Enum):
    """In which sense few rows stand for all."""

    EVERYWHERE = "the objective is the same at every coef"
    SPAN = "the objective is the same wherever a minimiser can be"
    BELOW = "the objective is nowhere larger, and the same at given points"
    AVERAGE = "the objective is the same on average"


@dataclass(frozen=True, eq=False)
class Reduced:
    """A problem over the few rows.

    Attributes
    ----------
    problem : Problem
    rows : LocalRows
    """

    problem: Problem
    rows: LocalRows

    def lifted(self, coef: Array) -> Array:
        """The raw coef of the problem over all rows that one of this problem stands for."""
        return coef


class Reduction(ABC):
    """Few rows that stand for all.

    Either ingest makes them, or a question about all rows does; they live in this process, where a round costs little.
    """

    sense: ClassVar[Sense]

    @abstractmethod
    def refusal(self, problem: Problem) -> str | None:
        """What stands against it for this problem, if anything."""

    def question(self, problem: Problem, points: Array) -> Question | None:
        """What to ask of all rows, for points (m, n) of interest; None where ingest has answered already."""
        return None

    @abstractmethod
    def reduced(self, problem: Problem, reply: Block | None) -> Reduced:
        """The problem over the few rows, given the reply to the question."""
