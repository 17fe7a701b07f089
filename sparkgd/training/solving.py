"""The stage that solves a problem over some rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.local_rows import Rows
from sparkgd.problems.problem import Problem
from sparkgd.questions import AloneQuestion, Answer, GradientQuestion, Question
from sparkgd.solvers.base import Ending, Solver, State, Status
from sparkgd.training.rounds import Asked
from sparkgd.training.stage import Solved
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]


RISES, RISEN = 10, 1e20
"""So many iterations in a row, each above the one before, and so many times the first value: that is no noise."""


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
    chooses_by_held_out : bool
        Whether the model is made of the point with the least loss on held-out rows.
    shares : bool
        Whether its questions may be answered together with those of other models, which changes the last bits.
    """

    name: str
    problem: Problem
    solver: Solver[Any]
    stopping: Stopping
    start_coef: Array
    rows: Rows
    resumed: Resumption | None = None
    is_final: bool = False
    can_wait: ClassVar[bool] = False
    chooses_by_held_out: bool = True
    shares: bool = True

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

    def again(self, state: Solved) -> Solved:
        """At the same point, with what the solver has learned of the curvature."""
        return replace(self, resumed=Resumption(state.solver, np.inf)).start()

    def ask(self, state: Solved) -> Asked:
        """What the solver asks; at the end of a stochastic one, which only ever saw batches, its true objective."""
        question: Question
        if state.ending is None:
            question = self.solver.ask(state.solver)
        else:
            question = GradientQuestion(self._result(state)[None, :])
        return Asked(self.problem, question if self.shares else AloneQuestion(question), self.rows)

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

    def cut_short(self, state: Solved, ending: Ending) -> Solved:
        """Ended before its time at its result so far, which a stochastic solver's last values are not of."""
        coef = self.problem.raw_coef(self._result(state)) if self.solver.is_stochastic else state.coef
        return replace(state.ended(ending), coef=coef)

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
            if solver.iteration == 0:
                reason = f"the objective is {objective} where the fit starts; give it other initial coefs"
            return state.ended(Ending(Status.DIVERGED, reason))
        if _runs_away(state.objectives):
            reason = (
                f"the objective has risen from {state.objectives[0]:.3g} to {objective:.3g}; use a smaller step size"
            )
            return state.ended(Ending(Status.DIVERGED, reason))
        least = self._least_held_out(state)
        if least is None or state.held_out_losses[-1] == least:
            point = solver.point if least is None else evaluated
            state = replace(state, coef=self.problem.raw_coef(point), best=len(state.objectives) - 1)
        if solver.ending is None:
            ending = self.stopping.check(solver, state.objectives, state.held_out_losses, judged=self.is_judged)
            return state if ending is None else state.ended(ending)
        return state

    def _result(self, state: Solved) -> Array:
        """The point that a stochastic fit ends at."""
        if self._least_held_out(state) is None:
            return self.solver.result(state.solver)
        return self.problem.point(state.coef)

    def _settled(self, state: Solved, answer: Answer) -> Solved:
        """With the true values at a stochastic solver's result."""
        evaluated = self._result(state)
        solver, coef = replace(state.solver, point=evaluated), state.coef
        if self._least_held_out(state) is None:
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

    def _least_held_out(self, state: Solved) -> float | None:
        """Least loss of the held-out rows so far, where it decides which point the model is made of."""
        known = [loss for loss in state.held_out_losses if not np.isnan(loss)]
        return min(known) if known and self.is_final and self.chooses_by_held_out else None


def _runs_away(objectives: tuple[float, ...]) -> bool:
    """Whether steps that are too long carry the objective off, long before it leaves the finite numbers."""
    recent = objectives[-RISES - 1 :]
    is_far = len(recent) > RISES and abs(objectives[-1]) > RISEN * abs(objectives[0])
    return is_far and all(later > earlier for earlier, later in pairwise(recent))
