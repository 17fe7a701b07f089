"""The stages of a fit: one question, or a problem solved over some rows.

A stage is frozen settings; all that evolves is its state. It asks and is told, as a solver does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.questions import Answer
from sparkgd.solvers.base import Ending, State, Status
from sparkgd.training.rounds import Asked

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Solved:
    """How far a problem has been solved; the state of `sparkgd.training.solving.Solving`.

    Attributes
    ----------
    solver : State
        Of the solver.
    coef : ndarray (size,)
        Raw coef of the result so far: the last point, or the best one on held-out rows where there are any.
    best : int
        Iteration that ``coef`` is of, as an index of the histories.
    objectives, gradient_norms, held_out_losses : tuple of float
        One entry an iteration, the first for the starting point.
    is_resumed : bool
        Whether it went on from another stage's end.
    is_settled : bool
        Whether a stochastic solver's result has been evaluated over all rows.
    """

    solver: State
    coef: Array
    best: int = -1
    objectives: tuple[float, ...] = ()
    gradient_norms: tuple[float, ...] = ()
    held_out_losses: tuple[float, ...] = ()
    is_resumed: bool = False
    is_settled: bool = False

    @property
    def ending(self) -> Ending | None:
        """How it ended, None while it goes on."""
        return self.solver.ending

    @property
    def iteration(self) -> int:
        """Completed iterations; -1 before the starting point is evaluated."""
        return self.solver.iteration

    @property
    def status(self) -> Status | None:
        """That of the ending."""
        return None if self.ending is None else self.ending.status

    @property
    def is_halted(self) -> bool:
        """Whether the whole fit was to end."""
        return self.ending is not None and self.ending.is_halt

    @property
    def objective(self) -> float:
        """Objective at ``coef``, nan before it is known."""
        return self.objectives[self.best] if self.objectives else np.nan

    def ended(self, ending: Ending) -> Solved:
        """The same, ended."""
        return replace(self, solver=replace(self.solver, ending=ending))


class Stage(Protocol):
    """A part of a plan.

    Attributes
    ----------
    name : str
        For job descriptions and callbacks.
    is_final : bool
        Whether the model may be made of what the stage finds; its state is a `Solved` then.
    can_wait : bool
        Whether the fit is over but for what the stage asks: that comes last, together for many fits.
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    @property
    def is_final(self) -> bool:
        """See above."""
        ...

    @property
    def can_wait(self) -> bool:
        """See above."""
        ...

    def start(self) -> Any:
        """State before the first round."""
        ...

    def ask(self, state: Any) -> Asked:
        """What to answer in the next round."""
        ...

    def tell(self, state: Any, answer: Answer) -> Any:
        """State after the round."""
        ...

    def halted(self, state: Any, ending: Ending) -> Any:
        """State when the whole fit is to end, as soon as this stage allows it."""
        ...

    def again(self, state: Any) -> Any:
        """State to begin with once more, about other rows or another objective, from where ``state`` is."""
        ...

    def is_over(self, state: Any) -> bool:
        """Whether nothing is left to ask."""
        ...

    def found(self, state: Any) -> Any:
        """What the stage found out, when it is over."""
        ...

    def solved(self, state: Any) -> Solved | None:
        """How far a problem has been solved, if that is what the stage is for."""
        ...

    def gradient_limit(self, state: Any) -> float:
        """The gradient norm at which the stage ends; nan where that is no test."""
        ...


@dataclass(frozen=True)
class Inquiry:
    """One question; what it finds is the reply. Its state is the answer, None before."""

    name: str
    asked: Asked
    can_wait: bool = False
    is_final: ClassVar[bool] = False

    def start(self) -> None:
        """No answer yet."""

    def ask(self, state: Answer | None) -> Asked:
        """The question."""
        return self.asked

    def tell(self, state: Answer | None, answer: Answer) -> Answer:
        """The answer."""
        return answer

    def halted(self, state: Answer | None, ending: Ending) -> Answer | None:
        """The question is asked in any case: later stages need the reply."""
        return state

    def again(self, state: Answer | None) -> None:
        """The question, asked once more."""

    def is_over(self, state: Answer | None) -> bool:
        """Whether there is an answer."""
        return state is not None

    def found(self, state: Answer | None) -> Any:
        """The reply."""
        assert state is not None
        return state.reply

    def solved(self, state: Answer | None) -> None:
        """Nothing is solved."""

    def gradient_limit(self, state: Answer | None) -> float:
        """No norm ends it."""
        return np.nan
