"""The ask/tell interface of solvers.

A solver is frozen settings; all that evolves is a frozen `State` of arrays. It asks for sums at points and is told the
reply; it never knows whether the rows are in this process or on a cluster, nor that other solvers share its rounds.

Solvers minimise ``f(u) + r(u)``: f smooth (mean loss plus smooth penalty), known through replies; r the rough part of
the penalty (L1, bounds), known through its prox. ``u`` are solver coordinates: the coef after a linear change of
variables that makes the problem well scaled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from sparkgd.questions.base import Question, Reply

Array: TypeAlias = npt.NDArray[np.float64]


class Status(str, Enum):
    """How a fit ended."""

    CONVERGED = "converged"
    MAX_ITERATIONS = "max iterations"
    MAX_SECONDS = "time budget"
    STOPPED_EARLY = "stopped early"
    STALLED = "stalled"
    RETIRED = "retired"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Ending:
    """A status and its reason in words.

    Attributes
    ----------
    status : Status
    reason : str
    is_halt : bool
        Whether somebody asked for it from outside: a callback, an interrupt, the time budget.
    """

    status: Status
    reason: str
    is_halt: bool = False


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

    def stiffened(self, state: StateT, curvature: Array) -> StateT:
        """The state where f has so much more curvature (n, n), as far as the solver knows any."""
        return state

    def mapped(self, state: StateT, change: Callable[[Array], Array]) -> StateT:
        """The state to `restart` from where points, and all that is as long, are changed by a linear map.

        The map takes away entries that are zero, or brings them back.
        """
        return self.start(change(state.point))

    @abstractmethod
    def ask(self, state: StateT) -> Question:
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
