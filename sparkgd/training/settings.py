"""One model as the user asked for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.losses.base import Loss
from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.problems.past import NoPast, Past
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.stopping import Stopping

if TYPE_CHECKING:  # a lead is found by fits
    from sparkgd.training.lead import Lead

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FitSettings:
    """One model as the user asked for it, in NumPy's spelling.

    Attributes
    ----------
    loss : Loss
    penalty : callable
        The penalty of the flat weights, given the statistics and the number of outputs.
    fit_intercept, standardize : bool
        ``standardize`` says in which space a penalty and a user's step size are meant.
    solver : SolverSettings
    stopping : Stopping
    start : (ndarray (K, p), ndarray (K,) or None) or None
        Weights and intercepts to start from; intercepts that are not given are the null model's.
    held_out : int
        Fold to leave out, -1 for none.
    chooses_by_held_out : bool
        Whether the model is made of the point that is best on the fold; else that only judges the last one.
    name : str
        Of the fit, for job descriptions and messages.
    intercept_penalty : Penalty
        Of the intercepts: bounds, else none.
    max_seconds : float
        Wall-clock limit of the training.
    lead : Lead or None
        A model of the same rows, folds included, to follow.
    past : Past
        Rows that the model has learned from before.
    """

    loss: Loss
    penalty: Callable[[Statistics, int], Penalty]
    fit_intercept: bool
    standardize: bool
    solver: SolverSettings
    stopping: Stopping
    start: tuple[Array, Array | None] | None = None
    held_out: int = -1
    chooses_by_held_out: bool = True
    name: str = "fit"
    intercept_penalty: Penalty = NoPenalty()
    max_seconds: float = np.inf
    lead: Lead | None = None
    past: Past = NoPast()

    @property
    def is_centred(self) -> bool:
        """Whether coordinates may be centred: only a free intercept can absorb the shift."""
        return self.fit_intercept and self.intercept_penalty.is_smooth
