"""Newton's method with the Hessian summed in the round."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from sparkgd.solvers.base import Array, GradientRequest, HessianRequest, Reply, Request, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung

RETRY_LADDER = 2.0 ** -np.arange(1, 9)


@dataclass(frozen=True)
class NewtonState(State):
    """Adds the Newton direction and the steps to evaluate next."""

    direction: Array
    steps: Array


@dataclass(frozen=True)
class Newton(Solver[NewtonState]):
    """``u <- u - step * H(u)^-1 grad f(u)`` by Cholesky, for smooth f and few columns.

    Every round sums value, gradient and Hessian at the full step, so an iteration is one round; only when the full step
    fails are eight shorter ones tried, without Hessian, in one more. ``g^T H^-1 g / 2`` estimates the gap.
    """

    name: str = "newton"

    def start(self, point: Array) -> NewtonState:
        zeros = np.zeros_like(point)
        return NewtonState(point, np.nan, zeros, -1, np.inf, np.nan, None, direction=zeros, steps=np.ones(1))

    def ask(self, state: NewtonState) -> Request:
        if len(state.steps) == 1:
            return HessianRequest(state.point + state.steps[0] * state.direction)
        return GradientRequest(state.point + state.steps[:, None] * state.direction)

    def tell(self, state: NewtonState, reply: Reply) -> NewtonState:
        best = 0 if state.iteration < 0 else self._best(state, reply)
        if best < 0:
            return self._failed(state)
        if reply.hessian is None:
            return replace(state, steps=state.steps[best : best + 1])
        return self._moved(state, reply, reply.hessian)

    def _best(self, state: NewtonState, reply: Reply) -> int:
        slope = float(state.gradient @ state.direction)
        norms = np.linalg.norm(reply.gradients, axis=1)
        return best_rung(state.value, state.residual, reply.values, norms, -state.steps * slope)

    def _moved(self, state: NewtonState, reply: Reply, hessian: Array) -> NewtonState:
        gradient = reply.gradients[0]
        direction = -solve_positive(hessian, gradient)
        return replace(
            state,
            point=state.point + state.steps[0] * state.direction,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=float(np.linalg.norm(gradient)),
            gap=-0.5 * float(gradient @ direction),
            direction=direction,
            steps=np.ones(1),
        )

    def _failed(self, state: NewtonState) -> NewtonState:
        if state.steps[-1] > 2.0**-16:
            return replace(state, steps=state.steps[-1] * RETRY_LADDER)
        return ended(state, Status.STALLED, "no step along the Newton direction lowers the objective")


def solve_positive(matrix: Array, vector: Array) -> Array:
    """Solution of a positive semi-definite system, with the least shift of the diagonal that makes it definite."""
    scale = float(np.max(np.diag(matrix), initial=0.0)) or 1.0
    shift = 0.0
    while True:
        try:
            factor = linalg.cho_factor(matrix + shift * np.eye(len(matrix)), check_finite=False)
            return np.asarray(linalg.cho_solve(factor, vector, check_finite=False))
        except linalg.LinAlgError:
            shift = max(10.0 * shift, 1e-14 * scale)
