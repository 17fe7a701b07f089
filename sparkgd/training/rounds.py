"""One round for many solvers: what they ask for becomes kernels, what comes back becomes replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Kernel, Sums
from sparkgd.kernels.gradient import GradientKernel
from sparkgd.kernels.hessian import HessianKernel, ProductKernel
from sparkgd.solvers.base import GradientRequest, HessianRequest, ProductRequest, Reply, Request
from sparkgd.training.objective import Objective

Array = npt.NDArray[np.float64]


class Engine(Protocol):
    """The only thing that knows where data lives."""

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """Run every kernel over all blocks in one scan; the sums of each kernel, in order."""
        ...

    def close(self) -> None:
        """Drop everything that the engine keeps on executors and disks."""
        ...


@dataclass(frozen=True)
class Question:
    """A request of one model."""

    objective: Objective
    request: Request
    weight_sum: float


@dataclass(frozen=True)
class Answer:
    """Reply to a question, and the mean loss of its held-out rows at each of its points.

    Attributes
    ----------
    reply : Reply
    points : ndarray (m, n)
        The points, in solver coordinates.
    held_out_losses : ndarray (m,)
        nan without held-out rows.
    """

    reply: Reply
    points: Array
    held_out_losses: Array

    def held_out_loss(self, point: Array) -> float:
        """Held-out loss at the evaluated point that is nearest to ``point``: that which a line search accepted."""
        nearest = int(np.argmin(np.linalg.norm(self.points - point, axis=1)))
        return float(self.held_out_losses[nearest])


def run_round(engine: Engine, questions: Sequence[Question], description: str = "") -> list[Answer]:
    """Answer all questions by one round of the engine.

    Gradient requests that share loss, layout and sample are evaluated together as one matrix of points.
    """
    groups: dict[object, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(_group_key(index, question), []).append(index)
    kernels = [_kernel([questions[i] for i in members]) for members in groups.values()]
    answers: dict[int, Answer] = {}
    for members, sums in zip(groups.values(), engine.round(kernels, description), strict=True):
        for index, answer in zip(members, _answers([questions[i] for i in members], sums), strict=True):
            answers[index] = answer
    return [answers[i] for i in range(len(questions))]


def _group_key(index: int, question: Question) -> object:
    request = question.request
    if isinstance(request, GradientRequest):
        return (question.objective.loss, question.objective.layout, request.sample)
    return index


def _kernel(group: list[Question]) -> Kernel:
    objective, request = group[0].objective, group[0].request
    match request:
        case HessianRequest(point):
            coef = objective.coordinates.to_raw(point)
            return HessianKernel(objective.loss, objective.layout, coef, objective.held_out)
        case ProductRequest(point, directions):
            to_raw = objective.coordinates.to_raw
            return ProductKernel(
                objective.loss, objective.layout, to_raw(point), to_raw(directions), objective.held_out
            )
        case GradientRequest():
            points = [(q.objective.coordinates.to_raw(_points(q)), q.objective.held_out) for q in group]
            held_out = np.concatenate([np.full(len(p), fold, dtype=np.int16) for p, fold in points])
            return GradientKernel(
                objective.loss,
                objective.layout,
                np.concatenate([p for p, _ in points]),
                held_out if np.any(held_out >= 0) else None,
                request.sample,
            )


def _points(question: Question) -> Array:
    assert isinstance(question.request, GradientRequest)
    return question.request.points


def _answers(group: list[Question], sums: Sums) -> list[Answer]:
    objective, request = group[0].objective, group[0].request
    match request:
        case HessianRequest(point):
            return [_answer(objective.hessian_reply(point, sums), point[None, :], sums)]
        case ProductRequest(point, directions):
            return [_answer(objective.product_reply(directions, sums, group[0].weight_sum), point[None, :], sums)]
        case GradientRequest():
            parts = _split(sums, [len(_points(q)) for q in group])
            return [
                _answer(q.objective.gradient_reply(_points(q), part, _weight(q, part)), _points(q), part)
                for q, part in zip(group, parts, strict=True)
            ]


def _weight(question: Question, sums: Sums) -> Array | float:
    """What divides the sums: a mini-batch's expected weight, so that its gradient is unbiased whatever the weights."""
    assert isinstance(question.request, GradientRequest) and sums.weight is not None
    sample = question.request.sample
    return sums.weight if sample is None else sample.expected_weight(question.weight_sum)


def _split(sums: Sums, counts: list[int]) -> list[Sums]:
    stops = np.cumsum(counts)
    fields = (sums.value, sums.gradient, sums.weight, sums.held_out_value, sums.held_out_weight)
    return [
        Sums(*(None if f is None else f[stop - count : stop] for f in fields))
        for count, stop in zip(counts, stops, strict=True)
    ]


def _answer(reply: Reply, points: Array, sums: Sums) -> Answer:
    losses = np.full(len(points), np.nan)
    if sums.held_out_value is not None and sums.held_out_weight is not None:
        np.divide(sums.held_out_value, sums.held_out_weight, out=losses, where=sums.held_out_weight > 0.0)
    return Answer(reply, points, losses)
