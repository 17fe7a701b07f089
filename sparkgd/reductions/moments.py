"""Least squares know their rows only by first and second moments: few rows with the same moments can stand for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.kernels.block import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.problems.problem import Problem
from sparkgd.reductions.base import Reduced, Reduction, Sense

Array = npt.NDArray[np.float64]


@dataclass
class _Sums:
    """Of rows z, about a point near their mean: weight, and weighted sums of ``z - centre`` and of its products."""

    centre: Array
    weight: float
    first: Array
    second: Array

    @classmethod
    def about(cls, centre: Array) -> _Sums:
        size = len(centre)
        return cls(centre, 0.0, np.zeros(size), np.zeros((size, size)))

    def add(self, rows: Array, weight: Array) -> None:
        rows -= self.centre
        self.weight += float(weight.sum())
        self.first += weight @ rows
        if (weight != 1.0).any():
            rows *= np.sqrt(weight)[:, None]
        self.second += rows.T @ rows

    def sigma_points(self) -> Array:
        """``2 q`` rows ``mean +- sqrt(q) a_k``, with ``sum_k a_k a_k^T`` the covariance of the q columns.

        The root is taken of the correlations, so that columns of small scale lose nothing to those of large scale.
        """
        shift = self.first / self.weight
        covariance = self.second / self.weight - np.outer(shift, shift)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        scale = np.where(deviation > 0.0, deviation, 1.0)
        values, vectors = linalg.eigh(covariance / scale / scale[:, None])
        roots = (vectors * np.sqrt(np.maximum(values, 0.0) * len(scale))).T * scale
        mean = self.centre + shift
        return np.concatenate([mean + roots, mean - roots])


class Moments:
    """Weighted moments of features, label and offset, fold by fold.

    The sums of a squared loss, its gradient and its Hessian over any rows are those over their *sigma points* (Julier
    and Uhlmann, 1997: A new extension of the Kalman filter to nonlinear systems), of which there are two for each
    column. So one pass over the data, that of ingest, is all that least squares need.
    """

    def __init__(self) -> None:
        self._folds: dict[int, _Sums] = {}
        self._width = 0
        self._has_offset = self._has_fold = False

    def add(self, block: Block) -> None:
        """Add dense rows. Values that are not finite leave no usable moments."""
        self._width = block.features.num_features
        self._has_offset, self._has_fold = block.offset is not None, block.fold is not None
        with np.errstate(invalid="ignore", over="ignore"):
            for chunk in block.chunks():
                self._add_chunk(chunk)

    def _add_chunk(self, chunk: Block) -> None:
        columns = [chunk.label] if chunk.offset is None else [chunk.label, chunk.offset]
        rows = np.column_stack([chunk.features.dense(), *columns])
        weight = np.maximum(chunk.weight, 0.0)
        for fold in [0] if chunk.fold is None else np.unique(chunk.fold):
            inside = np.flatnonzero(weight > 0.0 if chunk.fold is None else (weight > 0.0) & (chunk.fold == fold))
            if len(inside) == 0:
                continue
            some = rows if len(inside) == len(rows) else rows[inside]
            if fold not in self._folds:
                self._folds[int(fold)] = _Sums.about(some.mean(axis=0))
            self._folds[int(fold)].add(some, weight[inside])

    def block(self) -> Block:
        """Rows with the same moments; none at all if the moments are not finite."""
        parts = [(fold, sums) for fold, sums in sorted(self._folds.items()) if np.isfinite(sums.second).all()]
        points = [sums.sigma_points() for _, sums in parts]
        weights = [np.full(len(p), sums.weight / len(p)) for p, (_, sums) in zip(points, parts, strict=True)]
        folds = [np.full(len(p), fold, dtype=np.uint8) for p, (fold, _) in zip(points, parts, strict=True)]
        width = self._width
        rows = np.concatenate([np.empty((0, width + 1 + self._has_offset)), *points])
        return Block(
            DenseFeatures(np.ascontiguousarray(rows[:, :width])),
            rows[:, width],
            np.concatenate([np.empty(0), *weights]),
            rows[:, width + 1] if self._has_offset else None,
            np.concatenate([np.empty(0, np.uint8), *folds]) if self._has_fold else None,
        )


@dataclass(frozen=True)
class MomentsWithin(Reduction):
    """Rows of so many columns that their sigma points take at most ``most_bytes``; ingest makes their `Moments`."""

    most_bytes: int

    sense: ClassVar[Sense] = Sense.EVERYWHERE

    def refusal(self, problem: Problem) -> str | None:
        """A loss that knows more of the rows than their moments."""
        return None if problem.loss.is_quadratic else f"the {problem.loss.name} loss is not quadratic"

    def reduced(self, problem: Problem, reply: Block | None) -> Reduced:
        """The same problem over the sigma points."""
        assert reply is not None
        return Reduced(problem, LocalRows([reply]))

    def __call__(self, width: int) -> Moments | None:
        """What is to take the rows; None where the rows themselves are to be packed."""
        return Moments() if sigma_bytes(width) <= self.most_bytes else None


def sigma_bytes(width: int) -> int:
    """Most that the sigma points of rows of ``width`` features, an offset and two folds take."""
    return 2 * 2 * (width + 2) * (width + 4) * 8
