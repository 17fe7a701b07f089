"""Several questions in one round, and questions about the same problem with another loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sparkgd.losses.base import Loss
from sparkgd.questions.base import Answer, KernelQuestion, Part, Question, Reply

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem


@dataclass(frozen=True)
class SmoothedQuestion(Question):
    """What ``question`` asks, about the problem whose loss is smoothed to ``width``."""

    question: KernelQuestion
    width: float

    def parts(self, problem: Problem) -> list[Part]:
        """The question, about the smoothed problem."""
        return self.question.parts(problem.smoothed(self.width))

    def whole(self, answers: Sequence[Answer]) -> Answer:
        """Its answer."""
        return self.question.whole(answers)


@dataclass(frozen=True)
class LossAloneQuestion(Question):
    """What ``question`` asks, about another loss without penalty."""

    question: KernelQuestion
    loss: Loss

    def parts(self, problem: Problem) -> list[Part]:
        """The question, about that loss."""
        return self.question.parts(problem.loss_alone(self.loss))

    def whole(self, answers: Sequence[Answer]) -> Answer:
        """Its answer."""
        return self.question.whole(answers)


@dataclass(frozen=True)
class AloneQuestion(Question):
    """What ``question`` asks, answered with the same bits whatever else is asked in the round.

    A product of matrices rounds otherwise than one of a matrix and a vector; so nothing shares a product with this.
    """

    question: Question

    def parts(self, problem: Problem) -> list[Part]:
        """The question's, each for itself."""
        return [replace(part, is_alone=True) for part in self.question.parts(problem)]

    def whole(self, answers: Sequence[Answer]) -> Answer:
        """Its answer."""
        return self.question.whole(answers)


@dataclass(frozen=True)
class CompoundQuestion(Question):
    """Several questions of one part each, answered by as many ``Reply.parts``."""

    questions: tuple[KernelQuestion | SmoothedQuestion | LossAloneQuestion, ...]

    def parts(self, problem: Problem) -> list[Part]:
        """Those of all questions."""
        return [part for question in self.questions for part in question.parts(problem)]

    def whole(self, answers: Sequence[Answer]) -> Answer:
        """All replies, at the points of the first question."""
        reply = Reply(np.empty(0), np.empty((0, 0)), parts=tuple(answer.reply for answer in answers))
        return replace(answers[0], reply=reply)
