"""One round for many solvers: what they ask for becomes kernels, what comes back becomes replies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Kernel, Sums
from sparkgd.kernels.dual import DualKernel
from sparkgd.kernels.gradient import GradientKernel
from sparkgd.kernels.hessian import HessianKernel, ProductKernel
from sparkgd.problems.problem import Objective
from sparkgd.solvers.base import (
    CertificateRequest,
    CompoundRequest,
    EpochRequest,
    GradientRequest,
    HessianRequest,
    ProductRequest,
    Reply,
    Request,
    SmoothedRequest,
)  # fmt: skip
from sparkgd.training.epochs import epoch_kernel, epoch_reply

Array = npt.NDArray[np.float64]


SAME_POINT = 1e-12
"""Relative distance of two points that only rounding sets apart."""


class Engine(Protocol):
    """The only thing that knows where data lives."""

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """Run every kernel over all blocks in one scan; the sums of each kernel, in order."""
        ...

    def close(self) -> None:
        """Drop everything that the engine keeps on executors and disks."""
        ...


class TimedEngine:
    """An engine that notes the seconds of each of its rounds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds: list[float] = []

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Engine`."""
        began = time.perf_counter()
        sums = self._engine.round(kernels, description)
        self.seconds.append(time.perf_counter() - began)
        return sums

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


Part: TypeAlias = GradientRequest | HessianRequest | ProductRequest | EpochRequest | CertificateRequest
"""A request that one kernel answers."""


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
class _Item:
    """A part of a question."""

    objective: Objective
    request: Part
    weight_sum: float


def run_round(engine: Engine, questions: Sequence[Question], description: str = "") -> list[Answer]:
    """Answer all questions by one round of the engine.

    Requests for gradients, or for certificates, that share loss, layout and sample are evaluated together as one matrix
    of points.
    """
    items = [_items(question) for question in questions]
    answers = iter(_run(engine, [item for group in items for item in group], description))
    return [_whole(question, [next(answers) for _ in group]) for question, group in zip(questions, items, strict=True)]


def _items(question: Question) -> list[_Item]:
    request = question.request
    if not isinstance(request, CompoundRequest):
        return [_Item(question.objective, request, question.weight_sum)]
    return [_item(question, part) for part in request.parts]


def _item(question: Question, part: Part | SmoothedRequest) -> _Item:
    objective = question.objective
    match part:
        case SmoothedRequest(request, width):
            return _Item(objective.smoothed(width), request, question.weight_sum)
        case _:
            return _Item(objective, part, question.weight_sum)


def _whole(question: Question, answers: list[Answer]) -> Answer:
    if not isinstance(question.request, CompoundRequest):
        return answers[0]
    reply = Reply(np.empty(0), np.empty((0, 0)), parts=tuple(answer.reply for answer in answers))
    return replace(answers[0], reply=reply)


def _run(engine: Engine, items: Sequence[_Item], description: str) -> list[Answer]:
    groups: dict[object, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(_group_key(index, item), []).append(index)
    kernels = [_kernel([items[i] for i in members]) for members in groups.values()]
    answers: dict[int, Answer] = {}
    for members, sums in zip(groups.values(), engine.round(kernels, description), strict=True):
        for index, answer in zip(members, _answers([items[i] for i in members], sums), strict=True):
            answers[index] = answer
    return [answers[i] for i in range(len(items))]


def _group_key(index: int, item: _Item) -> object:
    objective = item.objective
    match item.request:
        case GradientRequest(_, sample):
            return (GradientRequest, objective.loss, objective.layout, sample)
        case CertificateRequest(_, width):
            return (CertificateRequest, objective.loss, objective.layout, width)
    return index


def _kernel(group: list[_Item]) -> Kernel:
    objective, request = group[0].objective, group[0].request
    loss, layout, to_raw = objective.loss, objective.layout, objective.coordinates.to_raw
    match request:
        case HessianRequest(point, entries):
            columns = None if entries is None else layout.columns_of(entries)
            return HessianKernel(loss, layout, to_raw(point), objective.held_out, columns)
        case ProductRequest(point, directions):
            return ProductKernel(loss, layout, to_raw(point), to_raw(directions), objective.held_out)
        case EpochRequest():
            return epoch_kernel(objective, request)
        case GradientRequest(_, sample):
            return GradientKernel(loss, layout, *_joined(group), sample)
        case CertificateRequest(_, width):
            return DualKernel(loss, loss.smoothed(width), layout, *_joined(group))


def _joined(group: list[_Item]) -> tuple[Array, npt.NDArray[np.int16] | None]:
    """Raw points of all members, and the fold that each leaves out if any does."""
    points = [item.objective.coordinates.to_raw(_points(item)) for item in group]
    folds = [np.full(len(p), item.objective.held_out, dtype=np.int16) for p, item in zip(points, group, strict=True)]
    held_out = np.concatenate(folds)
    return np.concatenate(points), held_out if np.any(held_out >= 0) else None


def _points(item: _Item) -> Array:
    assert isinstance(item.request, GradientRequest | CertificateRequest)
    return item.request.points


def _answers(group: list[_Item], sums: Sums) -> list[Answer]:
    objective, request = group[0].objective, group[0].request
    match request:
        case HessianRequest(point, entries):
            return [_answer(objective.hessian_reply(point, sums, entries), point[None, :], sums)]
        case ProductRequest(point, directions):
            return [_answer(objective.product_reply(point, directions, sums), point[None, :], sums)]
        case EpochRequest(point):
            return [_answer(epoch_reply(objective, point, sums), point[None, :], sums)]
        case GradientRequest() | CertificateRequest():
            parts = _split(sums, [len(_points(item)) for item in group])
            return [
                _answer(_reply_at_points(item, part), _points(item), part)
                for item, part in zip(group, parts, strict=True)
            ]


def _reply_at_points(item: _Item, sums: Sums) -> Reply:
    of = item.objective
    points, request = _points(item), item.request
    if isinstance(request, CertificateRequest):
        return of.certificate_reply(points, sums)
    return of.gradient_reply(points, sums, _weight(item, sums))


def _weight(item: _Item, sums: Sums) -> Array | float:
    """What divides the sums: a mini-batch's expected weight, so that its gradient is unbiased whatever the weights."""
    assert isinstance(item.request, GradientRequest) and sums.weight is not None
    sample = item.request.sample
    return sums.weight if sample is None else sample.expected_weight(item.weight_sum)


def _split(sums: Sums, counts: list[int]) -> list[Sums]:
    """Sums over m points, whose every field has them along the first axis, by member."""
    stops = np.cumsum(counts)
    whole = {f.name: getattr(sums, f.name) for f in fields(sums)}
    return [
        Sums(**{name: None if array is None else array[stop - count : stop] for name, array in whole.items()})
        for count, stop in zip(counts, stops, strict=True)
    ]


def _answer(reply: Reply, points: Array, sums: Sums) -> Answer:
    losses = np.full(len(points), np.nan)
    if sums.held_out_value is not None and sums.held_out_weight is not None:
        np.divide(sums.held_out_value, sums.held_out_weight, out=losses, where=sums.held_out_weight > 0.0)
    return Answer(reply, points, losses)
