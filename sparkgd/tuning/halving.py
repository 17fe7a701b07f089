"""Successive halving: a budget of iterations goes to few maps, those that the held-out rows favour after a part of it.

Jamieson and Talwalkar, 2016: Non-stochastic best arm identification and hyperparameter optimization.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

SLACK = 1e-9
"""Relative error of a power that must not cost an iteration."""


@dataclass(frozen=True)
class Halving:
    """Who goes on, and when that is decided.

    Attributes
    ----------
    factor : float
        Of so many maps one goes on from a rung, for so many times the iterations.
    min_iterations : int or None
        Iterations of all maps up to the first rung; by default the last leg has what ``maxIter`` leaves.
    """

    factor: float
    min_iterations: int | None = None

    def kept(self, maps: int) -> int:
        """How many go on of so many: one at least, and fewer than there are."""
        return max(min(maps - 1, math.ceil(maps / self.factor - SLACK)), 1)

    def rungs(self, maps: int, max_iterations: int) -> list[int]:
        """The iterations after which maps are compared: while there are more of them than the factor.

        Parameters
        ----------
        maps : int
        max_iterations : int
            The largest limit of any map.
        """
        count = 0
        while maps > self.factor:
            maps, count = self.kept(maps), count + 1
        first = max_iterations / self.factor**count if self.min_iterations is None else self.min_iterations
        rungs: list[int] = []
        for number in range(count):
            iterations = math.ceil(first * self.factor**number * (1.0 - SLACK))
            rungs.append(max(iterations, rungs[-1] + 1 if rungs else 1))
        return [rung for rung in rungs if rung < max_iterations]


def ranked(averages: Mapping[int, float], is_larger_better: bool) -> list[int]:
    """Maps by their averages, best first: equal ones in their order, those without any last."""
    known = [number for number in sorted(averages) if not math.isnan(averages[number])]
    unknown = [number for number in sorted(averages) if math.isnan(averages[number])]
    return [*sorted(known, key=lambda number: -averages[number] if is_larger_better else averages[number]), *unknown]
