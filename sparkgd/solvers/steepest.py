"""Gradient descent with a line search that tries a ladder of steps in every round."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung
from sparkgd.solvers.residual import prox_residual, prox_residuals, total_values

RUNGS = 2.0 ** np.arange(-3, 5)
MAX_FAILURES = 5


@dataclass(frozen=True)
class SteepestState(State):
    """Adds the middle step of the next ladder and how many ladders failed in a row."""

    step: float
    failures: int


@dataclass(frozen=True)
class SteepestDescent(Solver[SteepestState]):
    """``u <- prox(u - step * grad f(u), step)`` with the best of eight steps, 1/8 to 16 times the last one.

    All eight are evaluated in one round; the step adapts by a factor of up to 16 from one iteration to the next.
    """

    initial_step: float = 1.0
    penalty: Penalty = NoPenalty()
    name: str = "gd"

    def start(self, point: Array) -> SteepestState:
        zeros = np.zeros_like(point)
        return SteepestState(point, np.nan, zeros, -1, np.inf, np.nan, None, step=self.initial_step, failures=0)

    def ask(self, state: SteepestState) -> Question:
        return GradientQuestion(state.point[None, :] if state.iteration < 0 else self._trials(state))

    def tell(self, state: SteepestState, reply: Reply) -> SteepestState:
        if state.iteration < 0:
            return self._moved(state, state.point, float(reply.values[0]), reply.gradients[0], state.step)
        trials, steps = self._trials(state), state.step * RUNGS
        totals = total_values(self.penalty, trials, reply.values)
        residuals = prox_residuals(self.penalty, trials, reply.gradients)
        moves = trials - state.point
        predicted = np.einsum("mn,mn->m", moves, moves) / steps
        current = state.value + self.penalty.rough_value(state.point)
        best = best_rung(current, state.residual, totals, residuals, predicted)
        if best < 0:
            return self._failed(state)
        return self._moved(state, trials[best], float(reply.values[best]), reply.gradients[best], float(steps[best]))

    def _trials(self, state: SteepestState) -> Array:
        return np.array([self.penalty.prox(state.point - s * state.gradient, float(s)) for s in state.step * RUNGS])

    def _moved(self, state: SteepestState, point: Array, value: float, gradient: Array, step: float) -> SteepestState:
        return replace(
            state,
            point=point,
            value=value,
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=prox_residual(self.penalty, point, gradient),
            step=step,
            failures=0,
        )

    def _failed(self, state: SteepestState) -> SteepestState:
        failed = replace(state, step=state.step / 256.0, failures=state.failures + 1)
        if failed.failures < MAX_FAILURES:
            return failed
        return ended(failed, Status.STALLED, "no step along the negative gradient lowers the objective")
