"""The ask/tell interface of solvers.

A solver is frozen settings; all that evolves is a frozen `State` of arrays. It asks for sums at points and is told the
reply; it never knows whether the rows are in this process or on a cluster, nor that other solvers share its rounds.

Solvers minimise ``f(u) + r(u)``: f smooth (mean loss plus smooth penalty), known through replies; r the rough part of
the penalty (L1, bounds), known through its prox. ``u`` are solver coordinates: the coef after a linear change of
variables that makes the problem well scaled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]


class Status(str, Enum):
    """How a fit ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max iterations"
    MAX_SECONDS = "time budget"
    STOPPED_EARLY = "stopped early"
    STALLED = "stalled"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Ending:
    """A status and its reason in words."""

    status: Status
    reason: str


class Sample(Protocol):
    """Rule that picks the rows of a mini-batch (see `sparkgd.solvers.sampling`)."""

    def rows(self, first_row: int, count: int) -> npt.NDArray[np.intp]:
        """Positions, within ``count`` rows starting at row ``first_row``, of the rows in the batch."""
        ...

    def expected_weight(self, weight_sum: float) -> float:
        """Mean of a batch's weight where all rows together weigh ``weight_sum``."""
        ...


@dataclass(frozen=True)
class GradientRequest:
    """Value and gradient of f at each row of ``points`` (m, n), over all rows or a sample of them."""

    points: Array
    sample: Sample | None = None


@dataclass(frozen=True)
class HessianRequest:
    """Value, gradient and Hessian of f at ``point`` (n,); of the Hessian only some ``entries``, ascending, if given."""

    point: Array
    entries: npt.NDArray[np.intp] | None = None


@dataclass(frozen=True)
class ProductRequest:
    """Value and gradient of f at ``point`` (n,), and its Hessian there times each row of ``directions`` (q, n)."""

    point: Array
    directions: Array


@dataclass(frozen=True)
class EpochRequest:
    """Local epochs: stochastic steps over the rows of each partition, all from ``point`` (n,).

    Attributes
    ----------
    point : ndarray (n,)
    first_step, last_step : float
        Step sizes fall geometrically from one to the other within an epoch.
    epochs : int
        How often each partition goes over its rows.
    seed, round : int
        They decide the order of the rows.
    damping : float
        Typical curvature of the loss: rows with large features take smaller steps.
    anchor_gradient : ndarray (n,) or None
        Gradient of f at ``point``, for variance reduction.
    """

    point: Array
    first_step: float
    last_step: float
    epochs: int = 1
    seed: int = 0
    round: int = 0
    damping: float = 1.0
    anchor_gradient: Array | None = None


@dataclass(frozen=True)
class CertificateRequest:
    """A `Certificate` for each row of ``points`` (m, n), dual variables from the loss smoothed to ``width``."""

    points: Array
    width: float


@dataclass(frozen=True)
class SmoothedRequest:
    """What ``request`` asks for, of the objective whose loss is smoothed to ``width``."""

    request: GradientRequest | HessianRequest | ProductRequest
    width: float


@dataclass(frozen=True)
class CompoundRequest:
    """Several requests in one round, answered by as many ``Reply.parts``."""

    parts: tuple[GradientRequest | EpochRequest | CertificateRequest | SmoothedRequest, ...]


Request: TypeAlias = GradientRequest | HessianRequest | ProductRequest | EpochRequest | CompoundRequest


@dataclass(frozen=True)
class Certificate:
    """Proofs of quality at m points, for losses with kinks.

    Attributes
    ----------
    objectives : ndarray (m,)
        The objective itself: no smoothing, whole penalty.
    bounds : ndarray (m,)
        Dual objectives: no point has a smaller objective. ``-inf`` where a weight without penalty leaves none.
    errors : ndarray (m,)
        What smoothing hides: loss minus the dual lines, mean over the rows. The gap at a minimiser of the smoothed
        objective.
    """

    objectives: Array
    bounds: Array
    errors: Array


@dataclass(frozen=True)
class Reply:
    """What a round found, in solver coordinates, penalties' smooth part included.

    Attributes
    ----------
    values : ndarray (m,)
    gradients : ndarray (m, n)
    hessian : ndarray (n, n) or None
        Of the entries asked for.
    products : ndarray (q, n) or None
    certificate : Certificate or None
    local_point : ndarray (n,) or None
        Where local epochs led, averaged over the partitions.
    parts : tuple of Reply
        Of a compound request.
    """

    values: Array
    gradients: Array
    hessian: Array | None = None
    products: Array | None = None
    certificate: Certificate | None = None
    local_point: Array | None = None
    parts: tuple[Reply, ...] = ()


@dataclass(frozen=True)
class State:
    """Where a solver stands. Subclasses add arrays of their own.

    Attributes
    ----------
    point : ndarray (n,)
        The current iterate.
    value : float
        f at ``point``; nan before the first reply.
    gradient : ndarray (n,)
        Gradient of f at ``point``.
    iteration : int
        Completed iterations; -1 before the first reply, 0 at the evaluated starting point.
    residual : float
        Distance from optimality: the norm of the gradient, or of the prox-gradient step where r is not zero.
    gap : float
        An estimate or a bound of ``f + r`` above its minimum; nan where the solver has none.
    ending : Ending or None
        Set when the solver itself cannot or need not go on.
    """

    point: Array
    value: float
    gradient: Array
    iteration: int
    residual: float
    gap: float
    ending: Ending | None

    @property
    def duality_gap(self) -> float:
        """A proven bound of the objective above its minimum; infinite where the solver has none."""
        return np.inf


StateT = TypeVar("StateT", bound=State)


class Solver(ABC, Generic[StateT]):
    """An iterative method as a pure state machine."""

    name: str
    is_stochastic: bool = False
    judges_itself: bool = False
    """Whether it sets its own ending on convergence, so that no other test applies."""

    restart_excess: float = 1.0
    """Share by which another objective may be above that of a state for `restart` from it to be better than `start`."""

    @abstractmethod
    def start(self, point: Array) -> StateT:
        """State before the first round."""

    def restart(self, state: StateT) -> StateT:
        """State to begin on another f, similar to the one that ``state`` comes from, at the same point.

        A solver that has learned the curvature keeps it.
        """
        return self.start(state.point)

    @abstractmethod
    def ask(self, state: StateT) -> Request:
        """What to evaluate in the next round."""

    @abstractmethod
    def tell(self, state: StateT, reply: Reply) -> StateT:
        """State after the round."""

    def result(self, state: StateT) -> Array:
        """The point that a stochastic solver's last state stands for."""
        return state.point

    def settled(self, state: StateT, reply: Reply) -> StateT:
        """The state to end with, at its `result`, where ``reply`` has value and gradient; for stochastic solvers."""
        gradient = reply.gradients[0]
        return replace(state, value=float(reply.values[0]), gradient=gradient, residual=float(np.linalg.norm(gradient)))


def ended(state: StateT, status: Status, reason: str) -> StateT:
    """The state with its ending set."""
    return replace(state, ending=Ending(status, reason))
