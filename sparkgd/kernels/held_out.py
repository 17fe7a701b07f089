"""The rows that models hold out, and what these predict of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.layout import CoefLayout

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeldOutModels:
    """Models that hold out a fold each.

    Parameters
    ----------
    layout : CoefLayout
    coefs : ndarray (m, layout.size)
        Raw.
    held_out : ndarray (m,) of int
        Each model's fold.
    is_weighted : bool
        Whether rows count by their weight; else every row counts 1.
    """

    layout: CoefLayout
    coefs: Array
    held_out: npt.NDArray[np.int16]
    is_weighted: bool = True

    @cached_property
    def by_fold(self) -> Mapping[int, npt.NDArray[np.intp]]:
        """The positions of the models that hold out each fold."""
        return {int(fold): np.flatnonzero(self.held_out == fold) for fold in np.unique(self.held_out)}

    @property
    def most_of_a_fold(self) -> int:
        """How many models hold out the same fold, at most."""
        return max(len(models) for models in self.by_fold.values())

    def weight(self, rows: Block) -> Array:
        """What each row counts."""
        return rows.weight if self.is_weighted else np.ones(rows.rows)

    def raw_predictions(self, block: Block) -> Iterator[tuple[int, Block, Array]]:
        """Fold, its rows in a chunk, and the raw predictions (rows, models, outputs) of the models that hold it out.

        Each fold's rows are taken once, and one GEMM serves all of its models. Scalar outputs are left out.
        """
        if block.fold is None:
            return
        outputs = self.layout.num_linear
        weights = self.layout.weights(self.coefs)[:, :outputs]
        intercepts = self.layout.intercepts(self.coefs)[:, :outputs]
        if block.features.columns is not None:
            weights, block = weights[..., block.features.columns], block.narrow()
        flat = {
            fold: np.ascontiguousarray(weights[models].reshape(len(models) * outputs, -1).T)
            for fold, models in self.by_fold.items()
        }
        for chunk in block.chunks(self.most_of_a_fold * outputs):
            assert chunk.fold is not None
            for fold, models in self.by_fold.items():
                inside = np.flatnonzero(chunk.fold == fold)
                if len(inside) == 0:
                    continue
                rows = chunk if len(inside) == chunk.rows else chunk.take(inside)
                raw = rows.features.dot(flat[fold]).reshape(rows.rows, len(models), outputs) + intercepts[models]
                if rows.offset is not None:
                    raw += rows.offset[:, None, None]
                yield fold, rows, raw
