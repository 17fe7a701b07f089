"""Kernels about few columns, where the weights of all others are zero and nothing is asked about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.features import Features
from sparkgd.kernels.layout import CoefLayout

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AmongKernel:
    """Runs ``kernel`` over the columns that it is about: products, and answers, are as long as these are many.

    Parameters
    ----------
    kernel : Kernel
        Of a layout of so many features.
    layout : CoefLayout
        Of all columns.
    columns : ndarray of int
        Ascending.
    """

    kernel: Kernel
    layout: CoefLayout
    columns: npt.NDArray[np.intp]

    def __call__(self, block: Block) -> Sums:
        sums = self.kernel(replace(block, features=Chosen(block.features, self.columns)))
        return replace(sums, entries=self.layout.restricted(self.columns)[1])

    @property
    def loss(self) -> object:
        """That of the kernel, which an error names."""
        return getattr(self.kernel, "loss", None)

    @property
    def answer_size(self) -> AnswerSize:
        return self.kernel.answer_size


@dataclass(frozen=True, slots=True)
class Chosen:
    """Some columns of other features, which are copied chunk by chunk, as rows are needed."""

    features: Features
    chosen: npt.NDArray[np.intp]

    @property
    def columns(self) -> None:
        return None

    def narrow(self) -> Chosen:
        return self

    @property
    def rows(self) -> int:
        return self.features.rows

    @property
    def num_features(self) -> int:
        return len(self.chosen)

    @property
    def stored(self) -> int:
        return self.features.stored

    def chunk_rows(self) -> int:
        return self.features.chunk_rows()

    def slice(self, start: int, stop: int) -> Features:
        return self.features.slice(start, stop).among(self.chosen)

    def take(self, rows: npt.NDArray[np.intp]) -> Features:
        return self.features.take(rows).among(self.chosen)

    def among(self, columns: npt.NDArray[np.intp]) -> Features:
        return self.features.among(self.chosen[columns])

    def dot(self, weights: Array) -> Array:
        return self._copy().dot(weights)

    def transpose_dot(self, multipliers: Array) -> Array:
        return self._copy().transpose_dot(multipliers)

    def squared(self) -> Features:
        return self._copy().squared()

    def dense(self) -> Array:
        return self._copy().dense()

    def column_sums(self, weight: Array) -> tuple[Array, Array]:
        return self._copy().column_sums(weight)

    def column_support(self, weight: Array) -> Array:
        return self._copy().column_support(weight)

    def not_finite(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        return self._copy().not_finite()

    def _copy(self) -> Features:
        return self.features.among(self.chosen)
