"""What every question has in common: it becomes kernels, and sums become its answer.

A question is asked about a problem, in the problem's coordinates. One file says all of it: what is asked, the kernel
that scans a block for it, how long a task's answer is, and how the sums of all rows become the reply. Questions that
can share a scan say so by a key; nobody else need know which questions there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Kernel, Sums
from sparkgd.kernels.among import AmongKernel
from sparkgd.kernels.layout import CoefLayout

if TYPE_CHECKING:  # workers unpickle kernels from the same files, and need no problems
    from sparkgd.problems.problem import Problem

Array: TypeAlias = npt.NDArray[np.float64]

SAME_POINT = 1e-12
"""Relative distance of two points that only rounding sets apart."""


@dataclass(frozen=True)
class Certificate:
    """Proofs of quality at m points, for losses with kinks.

    Attributes
    ----------
    objectives : ndarray (m,)
        The objective itself: no smoothing, whole penalty.
    bounds : ndarray (m,)
        Dual objectives: no point has a smaller objective. ``-inf`` where a weight without penalty leaves none.
    errors : ndarray (m,)
        What smoothing hides: loss minus the dual lines, mean over the rows. The gap at a minimiser of the smoothed
        objective.
    """

    objectives: Array
    bounds: Array
    errors: Array


@dataclass(frozen=True)
class Reply:
    """What a solver is told, in its coordinates, penalties' smooth part included.

    Attributes
    ----------
    values : ndarray (m,)
    gradients : ndarray (m, n)
    hessian : ndarray (n, n) or None
        Of the entries asked for.
    products : ndarray (q, n) or None
    certificate : Certificate or None
    local_point : ndarray (n,) or None
        Where local epochs led, averaged over the partitions.
    parts : tuple of Reply
        Of a compound question.
    """

    values: Array
    gradients: Array
    hessian: Array | None = None
    products: Array | None = None
    certificate: Certificate | None = None
    local_point: Array | None = None
    parts: tuple[Reply, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Reply to a question, and the mean loss of the held-out rows at each of its points.

    Attributes
    ----------
    reply : Reply
        To what solvers ask; other questions have replies of their own kind.
    points : ndarray (m, n)
        The points, in solver coordinates.
    held_out_losses : ndarray (m,)
        nan without held-out rows.
    """

    reply: Any
    points: Array
    held_out_losses: Array

    @classmethod
    def of(cls, reply: Any, points: Array, sums: Sums) -> Answer:
        """The reply with what the sums tell of the held-out rows."""
        losses = np.full(len(points), np.nan)
        if sums.held_out_value is not None and sums.held_out_weight is not None:
            np.divide(sums.held_out_value, sums.held_out_weight, out=losses, where=sums.held_out_weight > 0.0)
        return cls(reply, points, losses)

    def held_out_loss(self, point: Array, before: float = np.nan) -> float:
        """Held-out loss at one of the evaluated points; ``before`` if the round did not evaluate it.

        A line search evaluates several points and accepts one; a solver that keeps its best point may accept none.
        """
        distances = np.linalg.norm(self.points - point, axis=1)
        nearest = int(np.argmin(distances))
        if distances[nearest] > SAME_POINT * float(np.linalg.norm(point)):
            return before
        return float(self.held_out_losses[nearest])


@dataclass(frozen=True)
class Part:
    """What one kernel answers of a question, about one problem.

    Attributes
    ----------
    problem : Problem
    question : KernelQuestion
    is_alone : bool
        Whether it must have a kernel of its own.
    """

    problem: Problem
    question: KernelQuestion
    is_alone: bool = False

    @property
    def key(self) -> Hashable:
        """Equal for parts that one kernel can answer."""
        if self.is_alone:
            return id(self)
        columns = self.problem.coordinates.columns
        breadth = None if columns is None else len(columns).bit_length()
        return breadth, self.question.shared_key(self.problem)


class Question(ABC):
    """What can be asked of the rows about a problem."""

    @abstractmethod
    def parts(self, problem: Problem) -> list[Part]:
        """What kernels are asked."""

    @abstractmethod
    def whole(self, answers: Sequence[Answer]) -> Answer:
        """The answer, from those to the parts."""


class KernelQuestion(Question):
    """A question that one kernel answers."""

    @abstractmethod
    def kernel(self, problem: Problem) -> Kernel:
        """What scans a block."""

    @abstractmethod
    def reply(self, problem: Problem, sums: Sums) -> Any:
        """What the sums over all rows mean."""

    @property
    def evaluated(self) -> Array:
        """The points (m, n), in solver coordinates, at which the sums have the loss."""
        return np.empty((0, 0))

    def shared_key(self, problem: Problem) -> Hashable:
        """Equal for questions that one scan can answer."""
        return id(problem), id(self)

    def kernel_of(self, group: Sequence[Part]) -> Kernel:
        """The kernel for all questions of one key, of which this is the first."""
        return self.kernel(group[0].problem)

    def answers(self, group: Sequence[Part], sums: Sums) -> list[Answer]:
        """The answers to all questions of one key."""
        answer = Answer.of(self.reply(group[0].problem, sums), self.evaluated, sums)
        return [answer] * len(group)

    def parts(self, problem: Problem) -> list[Part]:
        """Itself."""
        return [Part(problem, self)]

    def whole(self, answers: Sequence[Answer]) -> Answer:
        """The one answer."""
        return answers[0]


class PointsQuestion(KernelQuestion):
    """A question about several points, all of whose sums have these along their first axis.

    Those of one key are answered together: their points become one matrix, and a GEMM takes the place of several GEMVs.
    Points about few columns leave the others out of it. Nearly as few are taken to be the same: a product of its own
    for each would be a GEMV once more.
    """

    @abstractmethod
    def kernel_at(
        self, problem: Problem, layout: CoefLayout, coefs: Array, held_out: npt.NDArray[np.int16] | None
    ) -> Kernel:
        """The kernel at raw coefs (m, layout.size), given the fold that each leaves out if any does."""

    def kernel(self, problem: Problem) -> Kernel:
        """The kernel for this question alone."""
        return self.kernel_of(self.parts(problem))

    def kernel_of(self, group: Sequence[Part]) -> Kernel:
        """The kernel at the points of all."""
        coefs = [part.problem.coordinates.to_raw(part.question.evaluated) for part in group]
        folds = [np.full(len(c), part.problem.held_out, np.int16) for c, part in zip(coefs, group, strict=True)]
        held_out = held if np.any((held := np.concatenate(folds)) >= 0) else None
        problem, points = group[0].problem, np.concatenate(coefs)
        few = [columns for part in group if (columns := part.problem.coordinates.columns) is not None]
        if not few:
            return self.kernel_at(problem, problem.layout, points, held_out)
        columns = reduce(np.union1d, few)
        layout, known = problem.layout.restricted(columns)
        return AmongKernel(self.kernel_at(problem, layout, known.of(points), held_out), problem.layout, columns)

    def answers(self, group: Sequence[Part], sums: Sums) -> list[Answer]:
        """Each answer from its own points' sums."""
        counts = [len(part.question.evaluated) for part in group]
        return [
            Answer.of(part.question.reply(part.problem, own), part.question.evaluated, own)
            for part, own in zip(group, _split(sums, counts), strict=True)
        ]


def _split(sums: Sums, counts: Sequence[int]) -> list[Sums]:
    """Sums over points, whose every field has them along the first axis, by question."""
    stops = np.cumsum(counts)
    whole = {f.name: getattr(sums, f.name) for f in fields(sums)}
    return [
        Sums(**{name: None if array is None else array[stop - count : stop] for name, array in whole.items()})
        for count, stop in zip(counts, stops, strict=True)
    ]
