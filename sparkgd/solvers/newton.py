"""Newton's method with the Hessian summed in the round."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.solvers.base import Array, GradientRequest, HessianRequest, Reply, Request, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung
from sparkgd.solvers.quadratic import model_step
from sparkgd.solvers.residual import prox_residual, prox_residuals, total_values

RETRY_LADDER = 2.0 ** -np.arange(1, 9)


@dataclass(frozen=True)
class NewtonState(State):
    """Adds the Newton direction, the decrease that a unit step promises to first order, and the steps to try next."""

    direction: Array
    promised: float
    steps: Array


@dataclass(frozen=True)
class Newton(Solver[NewtonState]):
    """``u <- u + step * d`` with d the minimiser of ``grad f(u) . d + d^T H(u) d / 2 + r(u + d)``, for few columns.

    Without rough penalty this is Newton's method, with L1 or bounds proximal Newton (Lee, Sun and Saunders, 2014).
    Every round sums value, gradient and Hessian at the full step, so an iteration is one round; only when the full step
    fails are eight shorter ones tried, without Hessian, in one more. The decrease of the model estimates the gap.
    """

    penalty: Penalty = NoPenalty()
    name: str = "newton"

    def start(self, point: Array) -> NewtonState:
        zeros = np.zeros_like(point)
        return NewtonState(
            point, np.nan, zeros, -1, np.inf, np.nan, None, direction=zeros, promised=0.0, steps=np.ones(1)
        )

    def ask(self, state: NewtonState) -> Request:
        trials = _trials(state)
        return HessianRequest(trials[0]) if len(trials) == 1 else GradientRequest(trials)

    def tell(self, state: NewtonState, reply: Reply) -> NewtonState:
        best = 0 if state.iteration < 0 else self._best(state, reply)
        if best < 0:
            return self._failed(state)
        if reply.hessian is None:
            return replace(state, steps=state.steps[best : best + 1])
        return self._moved(state, reply, reply.hessian)

    def _best(self, state: NewtonState, reply: Reply) -> int:
        trials = _trials(state)
        return best_rung(
            state.value + self.penalty.rough_value(state.point),
            state.residual,
            total_values(self.penalty, trials, reply.values),
            prox_residuals(self.penalty, trials, reply.gradients),
            state.steps * state.promised,
        )

    def _moved(self, state: NewtonState, reply: Reply, hessian: Array) -> NewtonState:
        point, gradient = _trials(state)[0], reply.gradients[0]
        direction = model_step(self.penalty, point, gradient, hessian)
        rough = self.penalty.rough_value(point) - self.penalty.rough_value(point + direction)
        promised = rough - float(gradient @ direction)
        return replace(
            state,
            point=point,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=prox_residual(self.penalty, point, gradient),
            gap=promised - 0.5 * float(direction @ hessian @ direction),
            direction=direction,
            promised=promised,
            steps=np.ones(1),
        )

    def _failed(self, state: NewtonState) -> NewtonState:
        if state.steps[-1] > 2.0**-16:
            return replace(state, steps=state.steps[-1] * RETRY_LADDER)
        return ended(state, Status.STALLED, "no step along the Newton direction lowers the objective")


def _trials(state: NewtonState) -> Array:
    return np.asarray(state.point + state.steps[:, None] * state.direction)
