"""Sums from which a lower bound of the objective follows, for losses with kinks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.scan import Scan
from sparkgd.losses.base import Loss
from sparkgd.questions.base import Certificate, PointsQuestion, Reply

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CertificateQuestion(PointsQuestion):
    """A `Certificate` for each row of ``points`` (m, n), dual variables from the loss smoothed to ``width``.

    Scaling the dual variables of a side by t in [0, 1] keeps them feasible, since conjugates of losses whose least
    value is zero have ``l*(t a) <= t l*(a)``. With dual slope g and height h the bound is ``h - g . w - penalty*(-g)``
    (Fenchel's duality theorem; Rockafellar, 1970, section 31).
    """

    points: Array
    width: float

    @property
    def evaluated(self) -> Array:
        return self.points

    def shared_key(self, problem: Problem) -> Hashable:
        return type(self), problem.loss, problem.layout, self.width

    def kernel_at(
        self, problem: Problem, layout: CoefLayout, coefs: Array, held_out: npt.NDArray[np.int16] | None
    ) -> Kernel:
        return DualKernel(problem.loss, problem.loss.smoothed(self.width), layout, coefs, held_out)

    def reply(self, problem: Problem, sums: Sums) -> Reply:
        assert sums.value is not None and sums.weight is not None
        assert sums.dual_height is not None and sums.dual_slope is not None
        losses, heights = sums.value / sums.weight, sums.dual_height / sums.weight[:, None]
        slopes = sums.dual_slope / sums.weight[:, None, None]
        layout = problem.layout
        kept = _feasible_share(layout.intercepts(slopes)[..., 0])
        slope = layout.weights(np.einsum("ms,msn->mn", kept, slopes)).reshape(len(self.points), -1)
        slope[:, problem.coordinates.fixed] = 0.0
        coefs = np.array([problem.raw_coef(point) for point in self.points])
        weights = coefs[:, : layout.num_weights]
        objectives = losses + np.array([problem.penalty.value(w) for w in weights])
        height = np.einsum("ms,ms->m", kept, heights)
        bounds = [_bound(problem, *each) for each in zip(height, slope, weights, strict=True)]
        certificate = Certificate(objectives, np.array(bounds), losses - heights.sum(axis=1))
        return Reply(np.empty(0), np.empty((0, 0)), certificate=certificate)


def _bound(problem: Problem, height: float, slope: Array, weights: Array) -> float:
    """Dual objective of the largest feasible share of the dual variables, -inf if that is nothing."""
    share = problem.penalty.share_within(-slope)
    if share == 0.0:
        return -np.inf
    return float(share * (height - slope @ weights) - problem.penalty.conjugate(-share * slope))


def _feasible_share(sides: Array) -> Array:
    """Share of each side (m, 2), rising and falling, to keep so that the sides' sums cancel."""
    mass = np.abs(sides)
    return np.where(mass > 0.0, mass.min(axis=1, keepdims=True) / np.where(mass > 0.0, mass, 1.0), 1.0)


@dataclass(frozen=True)
class DualKernel:
    """Loss sums at m points, and the dual sums of ``a_i``, the derivative of the smoothed loss at each row.

    For every a in the domain of the conjugate ``l*``, ``l(y, z) >= a z - l*(y, a)``: each row gives a line below its
    loss. The sums are kept apart for rising (a > 0) and falling (a < 0) lines, since an unpenalised intercept needs
    ``sum weight * a = 0`` and the heavier of the two sides can be scaled down to reach it.

    Parameters
    ----------
    loss, smoothed : Loss
        The loss of one output, and the same loss without kinks.
    layout : CoefLayout
    points : ndarray (m, layout.size)
    held_out : ndarray (m,) of int or None
        The fold that each point leaves out, -1 for none.
    """

    loss: Loss
    smoothed: Loss
    layout: CoefLayout
    points: Array
    held_out: npt.NDArray[np.int16] | None = None

    def __call__(self, block: Block) -> Sums:
        columns = block.features.columns
        if columns is not None:
            layout, entries = self.layout.restricted(columns)
            inside = replace(self, layout=layout, points=entries.of(self.points))
            return replace(inside(block.narrow()), entries=entries)
        scan = _DualScan(self)
        for chunk in block.chunks(len(self.points) * self.layout.num_outputs):
            scan.add(chunk)
        return scan.sums()

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(by_coef=2 * len(self.points) * self.layout.size)


class _DualScan(Scan):
    """Sides along the last axis: rising lines, then falling ones."""

    def __init__(self, kernel: DualKernel) -> None:
        super().__init__(kernel)
        self.smoothed = kernel.smoothed
        self.height = np.zeros((self.count, 2))
        self.slope = np.zeros((2 * self.count, self.layout.num_features))
        self.slope_sum = np.zeros((self.count, 2))

    def add(self, chunk: Block) -> None:
        raw = self.raw_prediction(chunk)
        label = chunk.label[:, None]
        value, _ = self.loss.value_and_derivative(label, raw)
        _, dual = self.smoothed.value_and_derivative(label, raw)
        weight = np.broadcast_to(self.weigh(chunk, value), value.shape)
        weights = np.stack([np.where(dual > 0.0, weight, 0.0), np.where(dual < 0.0, weight, 0.0)], axis=2)
        self.height += np.einsum("rms,rm->ms", weights, dual * raw - self.loss.conjugate(label, dual))
        weighted_dual = weights * dual[:, :, None]
        self.slope += chunk.features.transpose_dot(weighted_dual.reshape(chunk.rows, -1))
        self.slope_sum += weighted_dual.sum(axis=0)

    def sums(self) -> Sums:
        slopes = self.layout.pack(
            self.slope.reshape(self.count, 2, 1, self.layout.num_features), self.slope_sum[:, :, None]
        )
        held = self.held_out is not None
        return Sums(
            value=self.value,
            weight=self.weight,
            held_out_value=self.held_out_value if held else None,
            held_out_weight=self.held_out_weight if held else None,
            dual_height=self.height,
            dual_slope=slopes,
        )
