"""Loss value and gradient at one or many points, in one scan."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.scan import Scan
from sparkgd.losses.base import Loss
from sparkgd.questions.base import PointsQuestion, Reply

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


class Sample(Protocol):
    """Rule that picks the rows of a mini-batch, the same on every run of the task (see `sparkgd.solvers.sampling`)."""

    def rows(self, first_row: int, count: int) -> npt.NDArray[np.intp]:
        """Positions, within a block of ``count`` rows starting at row ``first_row``, of the rows in the batch."""
        ...

    def expected_weight(self, weight_sum: float) -> float:
        """Mean of a batch's weight where all rows together weigh ``weight_sum``."""
        ...


@dataclass(frozen=True)
class GradientQuestion(PointsQuestion):
    """Value and gradient of f at each row of ``points`` (m, n), over all rows or a sample of them."""

    points: Array
    sample: Sample | None = None

    @property
    def evaluated(self) -> Array:
        return self.points

    def shared_key(self, problem: Problem) -> Hashable:
        return type(self), problem.loss, problem.layout, self.sample

    def kernel_at(
        self, problem: Problem, layout: CoefLayout, coefs: Array, held_out: npt.NDArray[np.int16] | None
    ) -> Kernel:
        return GradientKernel(problem.loss, layout, coefs, held_out, self.sample)

    def reply(self, problem: Problem, sums: Sums) -> Reply:
        assert sums.weight is not None
        # A mini-batch is divided by its expected weight, so that its gradient is unbiased whatever the weights.
        weight = sums.weight if self.sample is None else self.sample.expected_weight(problem.weight_sum)
        return reply_at(problem, self.points, sums, weight)


def reply_at(problem: Problem, points: Array, sums: Sums, weight_sum: Array | float) -> Reply:
    """Values and gradients at ``points``; ``weight_sum`` is the (expected) weight of the rows summed."""
    coefs = problem.coordinates.to_raw(points)
    sums = problem.past.added(sums, coefs)
    assert sums.value is not None and sums.gradient is not None
    weight = np.broadcast_to(weight_sum + problem.past.weight, sums.value.shape)
    penalty = problem.penalty_on_coef
    values = sums.value / weight + np.array([penalty.smooth_value(c) for c in coefs])
    gradients = sums.gradient / weight[:, None] + np.array([penalty.smooth_gradient(c) for c in coefs])
    return Reply(values, problem.coordinates.pull(gradients))


@dataclass(frozen=True)
class GradientKernel:
    """Sums of loss and gradient at m points over a block.

    With ``Z = X W^T + b + offset`` (one column for each point and output) and ``D = weight * dl/dz(y, Z)``, the
    gradient is ``D^T X`` for the weights and the column sums of ``D`` for the intercepts: two GEMMs a chunk.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
    points : ndarray (m, layout.size)
    held_out : ndarray (m,) of int or None
        The fold that each point leaves out (its loss is summed apart), -1 for none.
    sample : Sample or None
        Which rows to use; None for all.
    """

    loss: Loss
    layout: CoefLayout
    points: Array
    held_out: npt.NDArray[np.int16] | None = None
    sample: Sample | None = None

    def __call__(self, block: Block) -> Sums:
        if self.sample is not None:
            block = block.take(self.sample.rows(block.first_row, block.rows))
        columns = block.features.columns
        if columns is not None:
            layout, entries = self.layout.restricted(columns)
            inside = replace(self, layout=layout, points=entries.of(self.points), sample=None)
            return replace(inside(block.narrow()), entries=entries)
        scan = self.scan()
        for chunk in block.chunks(len(self.points) * self.layout.num_outputs):
            scan.add(chunk)
        return scan.sums()

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(by_coef=len(self.points) * self.layout.size)

    def scan(self) -> GradientScan:
        """What accumulates the sums, chunk by chunk."""
        return _OneOutput(self) if self.layout.num_outputs == 1 else _ManyOutputs(self)


class GradientScan(Scan):
    """Adds the gradients."""

    def __init__(self, kernel: GradientKernel) -> None:
        super().__init__(kernel)
        outputs = self.count * self.layout.num_outputs
        self.weights_gradient = np.zeros((outputs, self.layout.num_features))
        self.intercepts_gradient = np.zeros(outputs)

    @abstractmethod
    def add(self, chunk: Block) -> Array:
        """Add a chunk's sums; its raw predictions of shape (rows, m), or (rows, m, K) with K outputs."""

    def sums(self) -> Sums:
        """The sums so far."""
        layout, m = self.layout, self.count
        gradient = layout.pack(
            self.weights_gradient.reshape(m, layout.num_outputs, layout.num_features),
            self.intercepts_gradient.reshape(m, layout.num_outputs),
        )
        held = self.held_out is not None
        return Sums(
            value=self.value,
            gradient=gradient,
            weight=self.weight,
            held_out_value=self.held_out_value if held else None,
            held_out_weight=self.held_out_weight if held else None,
        )


class _OneOutput(GradientScan):
    """Raw predictions of shape (rows, m)."""

    def add(self, chunk: Block) -> Array:
        raw = self.raw_prediction(chunk)
        value, derivative = self.loss.value_and_derivative(chunk.label[:, None], raw)
        weight = self.weigh(chunk, value)
        derivative = derivative * weight
        self.weights_gradient += chunk.features.transpose_dot(derivative)
        self.intercepts_gradient += derivative.sum(axis=0)
        return raw


class _ManyOutputs(GradientScan):
    """Raw predictions of shape (rows, m, K)."""

    def add(self, chunk: Block) -> Array:
        raw = self.raw_prediction(chunk).reshape(chunk.rows, self.count, self.layout.num_outputs)
        value, derivative = self.loss.value_and_derivative(chunk.label[:, None], raw)
        weight = self.weigh(chunk, value)
        flat = (derivative * weight[:, :, None]).reshape(chunk.rows, -1)
        self.weights_gradient += chunk.features.transpose_dot(flat)
        self.intercepts_gradient += flat.sum(axis=0)
        return raw
