"""A sample of a block's rows for the driver, in which rows that matter more are likelier to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Group, Statistics, merge, statistics_of
from sparkgd.kernels.block import Block
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.problems.problem import Problem
from sparkgd.questions.rows import squared_lengths
from sparkgd.reductions.base import Reduced, Reduction, Sense

Array = npt.NDArray[np.float64]

SAMPLE_BYTES = 16 << 20
"""Size of the sample of a whole dataset."""

LARGEST = 0.25
"""Share of the rows that a sample has at most."""

RARE = 0.05
"""Share of the rows below which those where a column is not zero are rare."""


@dataclass(frozen=True, eq=False)
class RowSample(Reduction):
    """Some of the rows, each with the weight of those that it stands for; ingest has drawn them.

    A sample of n rows for p columns ends about ``p / 2n`` above the optimum, in no round over all rows.

    Parameters
    ----------
    rows : LocalRows
        Class weights are in their weights already.
    tol : float
        Tolerance to solve it with: what a sample gets wrong for want of rows is more.
    """

    rows: LocalRows
    tol: float = 1e-3

    sense: ClassVar[Sense] = Sense.AVERAGE

    def refusal(self, problem: Problem) -> str | None:
        """Fewer rows than coefs; a loss with kinks, whose optimum is decided by rows that a sample has others of."""
        if self.rows.count < problem.layout.size:
            return f"{self.rows.count} rows are too few for {problem.layout.size} coefs"
        return None if problem.loss.is_smooth else f"the {problem.loss.name} loss has kinks"

    def reduced(self, problem: Problem, reply: Block | None) -> Reduced:
        """The same problem over the sample."""
        return Reduced(problem, self.rows)


def sample_of(block: Block, share: float, statistics: Mapping[Group, Statistics] | None = None) -> Block | None:
    """About that share of the rows, at most a quarter; each with the weight of those that it stands for.

    Half of a row's chance is its share of the weights. Where columns are rare, the other half is its share of the
    squared lengths of the standardised rows, times their weights: there a few long rows decide the coefs of the rare
    columns, and an even sample would miss them (sub-sampled Newton methods with norm-squared sampling: Xu, Yang,
    Roosta, Re and Mahoney, 2016). Rows are taken at even steps of the summed chances, so there is no chance in it.

    Parameters
    ----------
    block : Block
    share : float
    statistics : mapping of Group to Statistics, or None
        Of the block; None if they are still to be taken.

    Returns
    -------
    Block or None
        None for very many columns, of which a sample would tell too little, and where no row has weight.
    """
    if block.rows == 0 or block.features.columns is not None:
        return None
    known = statistics_of(block) if statistics is None else statistics
    # Weights that a fit will refuse must not break the job that finds them.
    usable = np.where(np.isfinite(block.weight) & (block.weight > 0.0), block.weight, 0.0)
    if not usable.any():
        return None
    chances = min(share, LARGEST) * block.rows * _importance(block, usable, merge(list(known.values())))
    chances = np.minimum(chances, 1.0)
    rows = np.flatnonzero(np.diff(np.floor(np.cumsum(chances) + 0.5), prepend=0.0))
    if len(rows) == 0:
        rows = np.array([np.argmax(chances)])
    taken = block.take(rows)
    weight = usable[rows] / chances[rows]
    return replace(taken, weight=weight * (usable.sum() / weight.sum()))


def _importance(block: Block, weight: Array, statistics: Statistics) -> Array:
    """Shares (n,) of the rows in what there is to know."""
    even = np.asarray(weight / weight.sum())
    support = statistics.support[statistics.squares > 0.0]
    if not (support < RARE * statistics.weight).any():
        return even
    deviation = statistics.deviation()
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0.0)
    lengths = np.concatenate([squared_lengths(chunk.features, statistics.mean, scale) for chunk in block.chunks()])
    mass = weight * np.where(np.isfinite(lengths), lengths, 0.0)
    uneven = mass / max(mass.sum(), np.finfo(float).tiny)
    return np.asarray(0.5 * even + 0.5 * uneven)
