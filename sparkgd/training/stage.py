"""The stages of a fit: one question, or a problem solved over some rows.

A stage is frozen settings; all that evolves is its state. It asks and is told, as a solver does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.local_rows import Rows
from sparkgd.problems.problem import Problem
from sparkgd.questions import Answer, GradientQuestion
from sparkgd.solvers.base import Ending, Solver, State, Status
from sparkgd.training.rounds import Asked
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]


class Stage(Protocol):
    """A part of a plan.

    Attributes
    ----------
    name : str
        For job descriptions and callbacks.
    is_final : bool
        Whether the model may be made of what the stage finds; its state is a `Solved` then.
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    @property
    def is_final(self) -> bool:
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


@dataclass(frozen=True)
class Resumption:
    """Where another stage ended, for one to go on from.

    Attributes
    ----------
    state : State
        Of the same solver on a similar problem.
    limit : float
        Objective above which the state is dropped: the stage's own starting point promises more.
    """

    state: State
    limit: float


@dataclass(frozen=True)
class Solved:
    """How far a problem has been solved; the state of `Solving`.

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


@dataclass(frozen=True)
class Solving:
    """A problem, the solver that minimises it, and the rows that it is about.

    Attributes
    ----------
    name : str
    problem : Problem
    solver : Solver
    stopping : Stopping
    start_coef : ndarray (size,)
        Raw coef to start from.
    rows : Rows
    resumed : Resumption or None
        Where to start instead of ``start_coef``.
    is_final : bool
        Whether the model is made of what this stage finds: its point is evaluated even if the fit is to end at once.
    """

    name: str
    problem: Problem
    solver: Solver[Any]
    stopping: Stopping
    start_coef: Array
    rows: Rows
    resumed: Resumption | None = None
    is_final: bool = False

    @property
    def is_judged(self) -> bool:
        """Whether the convergence tests of `Stopping` do not apply."""
        return self.solver.is_stochastic or self.solver.judges_itself

    def start(self) -> Solved:
        """At the resumed state, or at the starting point."""
        if self.resumed is None:
            return self._begun()
        state = self.solver.restart(self.resumed.state)
        return self._limited(Solved(state, self.problem.raw_coef(state.point), is_resumed=True))

    def ask(self, state: Solved) -> Asked:
        """What the solver asks; at the end of a stochastic one, which only ever saw batches, its true objective."""
        if state.ending is None:
            question = self.solver.ask(state.solver)
        else:
            question = GradientQuestion(self._result(state)[None, :])
        return Asked(self.problem, question, self.rows)

    def tell(self, state: Solved, answer: Answer) -> Solved:
        """The state after a round, ended if a test of `Stopping` holds."""
        if state.ending is not None:
            return self._settled(state, answer)
        moved = replace(state, solver=self.solver.tell(state.solver, answer.reply))
        if self._promised_too_much(moved):
            return self._begun()
        if moved.iteration == state.iteration:
            return moved
        # A stochastic solver's values are those of its batch at the point that it left.
        evaluated = state.solver.point if self.solver.is_stochastic else moved.solver.point
        return self._completed(moved, answer, evaluated)

    def halted(self, state: Solved, ending: Ending) -> Solved:
        """Ended, unless the model would come from a point that has never been evaluated."""
        if state.ending is not None or (self.is_final and not state.objectives):
            return state
        return state.ended(ending)

    def is_over(self, state: Solved) -> bool:
        """Whether it has ended; a stochastic solver's result is evaluated first."""
        must_settle = self.solver.is_stochastic and state.status is not Status.DIVERGED and not state.is_settled
        return state.ending is not None and not must_settle

    def found(self, state: Solved) -> Solved:
        """The state."""
        return state

    def solved(self, state: Solved) -> Solved:
        """The state."""
        return state

    def gradient_limit(self, state: Solved) -> float:
        """The gradient norm at which it has converged; nan where that is no test."""
        if self.is_judged or not state.objectives:
            return np.nan
        return self.stopping.gradient_limit(state.objectives)

    def _begun(self) -> Solved:
        state = self.solver.start(self.problem.point(self.start_coef))
        return self._limited(Solved(state, self.problem.raw_coef(state.point)))

    def _limited(self, state: Solved) -> Solved:
        """Ended at once where no iteration is allowed and the first round of the solver, a stochastic one, is one."""
        if state.iteration < self.stopping.max_iterations:
            return state
        ending = self.stopping.check(state.solver, [], [], judged=True)
        return state if ending is None else state.ended(ending)

    def _promised_too_much(self, state: Solved) -> bool:
        """Whether the state that it goes on from turns out to be worse than where it would have begun."""
        if self.resumed is None or not state.is_resumed or state.objectives:
            return False
        return not self.problem.total(state.solver.value, state.solver.point) <= self.resumed.limit

    def _completed(self, state: Solved, answer: Answer, evaluated: Array) -> Solved:
        """The state after an iteration, with its entry in the histories."""
        solver = state.solver
        before = state.held_out_losses[-1] if state.held_out_losses else np.nan
        state = replace(
            state,
            objectives=(*state.objectives, self.problem.total(solver.value, solver.point)),
            gradient_norms=(*state.gradient_norms, solver.residual),
            held_out_losses=(*state.held_out_losses, answer.held_out_loss(evaluated, before)),
        )
        objective = state.objectives[-1]
        if not (np.isfinite(objective) and np.all(np.isfinite(solver.gradient))):
            reason = f"the objective is {objective} after {solver.iteration} iterations; use a smaller step size"
            return state.ended(Ending(Status.DIVERGED, reason))
        least = _least(state.held_out_losses)
        if least is None or state.held_out_losses[-1] == least:
            point = solver.point if least is None else evaluated
            state = replace(state, coef=self.problem.raw_coef(point), best=len(state.objectives) - 1)
        if solver.ending is None:
            ending = self.stopping.check(solver, state.objectives, state.held_out_losses, judged=self.is_judged)
            return state if ending is None else state.ended(ending)
        return state

    def _result(self, state: Solved) -> Array:
        """The point that a stochastic fit ends at."""
        if _least(state.held_out_losses) is None:
            return self.solver.result(state.solver)
        return self.problem.point(state.coef)

    def _settled(self, state: Solved, answer: Answer) -> Solved:
        """With the true values at a stochastic solver's result."""
        evaluated = self._result(state)
        solver, coef = replace(state.solver, point=evaluated), state.coef
        if _least(state.held_out_losses) is None:
            solver = self.solver.settled(solver, answer.reply)
            coef = self.problem.raw_coef(solver.point)
        else:
            solver = Solver.settled(self.solver, solver, answer.reply)
        return replace(
            state,
            solver=solver,
            coef=coef,
            best=len(state.objectives),
            objectives=(*state.objectives, self.problem.total(solver.value, solver.point)),
            gradient_norms=(*state.gradient_norms, solver.residual),
            held_out_losses=(*state.held_out_losses, answer.held_out_loss(evaluated)),
            is_settled=True,
        )


def _least(losses: tuple[float, ...]) -> float | None:
    """Least loss of the held-out rows so far, None where there are none."""
    known = [loss for loss in losses if not np.isnan(loss)]
    return min(known) if known else None
