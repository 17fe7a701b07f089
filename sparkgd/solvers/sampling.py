"""Which rows a mini-batch holds: a function of the seed, the step and the row's number alone.

Every partition draws from the same counter-based stream (Philox), so a batch does not depend on how the rows are
partitioned, needs no message between partitions and is the same when a task is run again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]


def _stream(seed: int, step: int) -> np.random.Philox:
    """The generator of one step; the seed is an integer of 64 bits without sign."""
    return np.random.Philox(key=np.array([seed, step], dtype=np.uint64))


@dataclass(frozen=True)
class UniformRows:
    """``batch_size`` rows drawn uniformly with replacement from all ``total`` rows, as classical SGD does."""

    seed: int
    step: int
    batch_size: int
    total: int

    def drawn(self) -> Rows:
        """Row numbers of the batch, in the order drawn."""
        drawn = np.random.Generator(_stream(self.seed, self.step)).integers(0, self.total, self.batch_size)
        return drawn.astype(np.intp)

    def rows(self, first_row: int, count: int) -> Rows:
        drawn = self.drawn() - first_row
        return drawn[(drawn >= 0) & (drawn < count)]

    def expected_weight(self, weight_sum: float) -> float:
        return weight_sum * self.batch_size / self.total


@dataclass(frozen=True)
class BernoulliRows:
    """Each row with probability ``fraction``, independently, as ``RDD.sample`` without replacement does."""

    seed: int
    step: int
    fraction: float

    def rows(self, first_row: int, count: int) -> Rows:
        # A Philox counter step yields four 64-bit words, one word a uniform: skip to the word of `first_row`.
        stream = _stream(self.seed, self.step).advance(first_row // 4)
        skip = first_row % 4
        uniforms = np.random.Generator(stream).random(skip + count)[skip:]
        return np.flatnonzero(uniforms < self.fraction)

    def expected_weight(self, weight_sum: float) -> float:
        return weight_sum * self.fraction
