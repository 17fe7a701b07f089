"""What a solver is built from: what a user may set, and what is known of the problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.solvers.lbfgs import Metric


class Scaling(Enum):
    """Coordinates that a solver wants.

    STEP: those in which a user's step size is meant (standardised or raw). DIAGONAL: each column scaled by its
    curvature. ROWS: the same, but with regard to how many rows hold a column, for steps along gradients of single rows.
    FULL: the Gram matrix's factor where columns are few and the penalty is smooth, else DIAGONAL.
    """

    STEP = "step"
    DIAGONAL = "diagonal"
    ROWS = "rows"
    FULL = "full"


@dataclass(frozen=True)
class SolverSettings:
    """What a user may set of a solver; None and ``auto`` leave the choice to the library."""

    name: str = "auto"
    step_size: float | None = None
    schedule: str = "auto"
    momentum: float = 0.0
    updater: str = "momentum"
    averaging: bool = False
    batch_size: int | None = None
    fraction: float = 1.0
    local_epochs: int = 1
    seed: int = 0

    @property
    def unsigned_seed(self) -> int:
        """The seed as generators take it. Spark's are signed, 64 bits long and, where hashed, negative half the time.

        The only place where a seed is converted: one that is not negative stays as it is.
        """
        return self.seed & (2**64 - 1)


@dataclass(frozen=True)
class SolverContext:
    """What a solver is built from, besides its settings.

    Attributes
    ----------
    settings : SolverSettings
    tol : float
        Of the whole fit, for solvers that judge themselves.
    max_iterations : int
        Of the whole fit, for schedules that depend on their length.
    penalty : Penalty
        Rough part, in solver coordinates.
    rows : int
        Rows of the whole dataset, those of zero weight included.
    largest_curvature : float
        Upper bound of the Hessian's largest eigenvalue in solver coordinates.
    row_curvature : float
        Typical largest eigenvalue of one row's Hessian in solver coordinates.
    loss_curvature : float
        Typical second derivative of the loss.
    row_length : float
        Mean squared length of a row in solver coordinates; nan if these are not diagonal.
    is_quadratic : bool
        Whether the loss has the same curvature everywhere.
    smoothing_width : float or None
        To begin with, for a loss with kinks; None for a smooth one.
    coefs : int
        Length of a point.
    scales : int
        How many of its entries, the last ones, are scales: positive.
    can_be_curved : bool
        Whether the loss has straight parts that can be given a curvature.
    metric : Metric or None
        A model of the Hessian, if one is known.
    sampled_rows : int
        Rows of which a restart knows the Hessian.
    shares_gradients : bool
        Whether other models ask for gradients in the same rounds, which makes a Hessian of one's own dear.
    """

    settings: SolverSettings
    tol: float = 1e-6
    max_iterations: int = 100
    penalty: Penalty = NoPenalty()
    rows: int = 0
    largest_curvature: float = 1.0
    row_curvature: float = 1.0
    loss_curvature: float = 1.0
    row_length: float = 1.0
    is_quadratic: bool = False
    smoothing_width: float | None = None
    coefs: int = 0
    scales: int = 0
    can_be_curved: bool = False
    metric: Metric | None = None
    sampled_rows: int = 0
    shares_gradients: bool = False
