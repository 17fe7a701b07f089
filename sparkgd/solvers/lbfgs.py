"""Limited-memory BFGS."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.solvers.base import Array, GradientRequest, Reply, Request, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung

FIRST_LADDER: Array = np.exp2(np.arange(-4, 4))
"""Steps of the first iteration, when nothing is known of the scale."""

RETRY_LADDER: Array = np.exp2(-np.arange(1, 9))
"""Steps tried together when the unit step fails."""


@dataclass(frozen=True)
class LbfgsState(State):
    """Adds the curvature pairs and the current line search.

    Attributes
    ----------
    moves, changes : ndarray (k, n), k <= memory
        Differences of successive points and of their gradients, oldest first.
    direction : ndarray (n,)
        Search direction; zeros before the first reply.
    steps : ndarray (m,)
        Steps along it to evaluate next.
    """

    moves: Array
    changes: Array
    direction: Array
    steps: Array


@dataclass(frozen=True)
class Lbfgs(Solver[LbfgsState]):
    """L-BFGS (Liu and Nocedal, 1989) for smooth f, with the two-loop recursion.

    The unit step is tried first; when it fails, eight shorter steps are tried in one round. A line search that fails
    altogether drops the memory and starts again from the negative gradient.
    """

    memory: int = 10
    name: str = "l-bfgs"

    def start(self, point: Array) -> LbfgsState:
        zeros, empty = np.zeros_like(point), np.zeros((0, point.shape[0]))
        return LbfgsState(
            point, np.nan, zeros, -1, np.inf, np.nan, None,
            moves=empty, changes=empty, direction=zeros, steps=np.zeros(1),
        )  # fmt: skip

    def ask(self, state: LbfgsState) -> Request:
        return GradientRequest(state.point + state.steps[:, None] * state.direction)

    def tell(self, state: LbfgsState, reply: Reply) -> LbfgsState:
        if state.iteration < 0:
            return self._moved(state, state.point, float(reply.values[0]), reply.gradients[0])
        slope = float(state.gradient @ state.direction)
        norms = np.linalg.norm(reply.gradients, axis=1)
        best = best_rung(state.value, state.residual, reply.values, norms, -state.steps * slope)
        if best < 0:
            return self._failed(state)
        point = state.point + state.steps[best] * state.direction
        return self._moved(self._remember(state, point, reply.gradients[best]), point, float(reply.values[best]),
                           reply.gradients[best])  # fmt: skip

    def _remember(self, state: LbfgsState, point: Array, gradient: Array) -> LbfgsState:
        move, change = point - state.point, gradient - state.gradient
        if move @ change <= 1e-10 * np.linalg.norm(move) * np.linalg.norm(change):
            return state
        return replace(
            state,
            moves=np.vstack([state.moves, move])[-self.memory :],
            changes=np.vstack([state.changes, change])[-self.memory :],
        )

    def _moved(self, state: LbfgsState, point: Array, value: float, gradient: Array) -> LbfgsState:
        return replace(
            state,
            point=point,
            value=value,
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=float(np.linalg.norm(gradient)),
            direction=-inverse_hessian_product(state.moves, state.changes, gradient),
            steps=np.ones(1) if len(state.moves) else FIRST_LADDER,
        )

    def _failed(self, state: LbfgsState) -> LbfgsState:
        if state.steps[-1] > 2.0**-16:
            return replace(state, steps=state.steps[-1] * RETRY_LADDER)
        if len(state.moves) == 0:
            return ended(state, Status.STALLED, "no step along the negative gradient lowers the objective")
        empty = state.moves[:0]
        return replace(state, moves=empty, changes=empty, direction=-state.gradient, steps=FIRST_LADDER)


def inverse_hessian_product(moves: Array, changes: Array, vector: Array) -> Array:
    """The L-BFGS approximation of ``H^-1 v`` (two-loop recursion; Nocedal, 1980)."""
    result = vector.copy()
    alphas = np.zeros(len(moves))
    inverse_products = [1.0 / float(m @ c) for m, c in zip(moves, changes, strict=True)]
    for i in reversed(range(len(moves))):
        alphas[i] = inverse_products[i] * float(moves[i] @ result)
        result -= alphas[i] * changes[i]
    if len(moves):
        result *= float(moves[-1] @ changes[-1]) / float(changes[-1] @ changes[-1])
    for i in range(len(moves)):
        beta = inverse_products[i] * float(changes[i] @ result)
        result += (alphas[i] - beta) * moves[i]
    return result
