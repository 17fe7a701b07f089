"""Local SVRG: local epochs whose noise and whose differences between partitions vanish at the optimum."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.questions import CompoundQuestion, EpochQuestion, GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung

LADDER: Array = np.exp2(np.arange(-5, 3))
"""Shares of the epochs' move that are tried in one round."""

FALL = 10.0
"""Ratio of the first and the last step of the first epoch."""

SMALLEST = 1e-9
"""Share of the first step size below which the method gives up."""


@dataclass(frozen=True)
class LocalSvrgState(State):
    """Adds the move that local epochs proposed and the step size of the next ones.

    Attributes
    ----------
    move : ndarray (n,)
        From ``point``; of no entries when epochs are to be asked for.
    step : float
    round : int
        Of epochs.
    """

    move: Array
    step: float
    round: int


@dataclass(frozen=True)
class LocalSvrg(Solver[LocalSvrgState]):
    """Stochastic variance reduced gradients on each partition (Johnson and Zhang, 2013; Konecny et al., 2016).

    An iteration is two rounds. In the first, every partition steps over its rows along ``g_i(u) - g_i(point) +
    gradient(point)``, and the results are averaged: near the optimum this is nearly a Newton step of every partition,
    and it stands still only where the gradient of all rows is zero. In the second, eight shares of that move are
    evaluated and the best is taken, with its gradient; so the objective never rises, however different the partitions.
    The very first epochs, whose starting point has no known gradient yet, are those of plain local SGD.

    Parameters
    ----------
    step_size : float
        About half the inverse of the curvature of a single row: steps fall in the very first epochs only.
    epochs : int
        Passes over a partition's rows in one round.
    seed : int
        Of the order of the rows.
    damping : float
        Typical curvature of the loss.
    """

    step_size: float
    epochs: int = 1
    seed: int = 0
    damping: float = 1.0
    name: str = "localSVRG"

    def start(self, point: Array) -> LocalSvrgState:
        zeros = np.zeros_like(point)
        return LocalSvrgState(point, np.nan, zeros, -1, np.inf, np.nan, None, move=zeros, step=self.step_size, round=0)

    def ask(self, state: LocalSvrgState) -> Question:
        if state.iteration < 0:
            plain = self._epochs(state, state.step / FALL, None)
            return CompoundQuestion((GradientQuestion(state.point[None, :]), plain))
        if len(state.move):
            return GradientQuestion(state.point + LADDER[:, None] * state.move)
        return self._epochs(state, state.step, state.gradient)

    def tell(self, state: LocalSvrgState, reply: Reply) -> LocalSvrgState:
        if state.iteration < 0:
            evaluated, plain = reply.parts
            return self._proposed(self._moved(state, state.point, evaluated, 0), plain)
        if not len(state.move):
            return self._proposed(state, reply)
        slope = float(state.gradient @ state.move)
        norms = np.linalg.norm(reply.gradients, axis=1)
        best = best_rung(state.value, state.residual, reply.values, norms, -LADDER * slope)
        if best >= 0:
            share = LADDER[best]
            # Shares that are always small tell that the steps are too large for how the partitions differ.
            step = state.step * (0.5 if share < 0.5 else 1.0)
            return self._moved(replace(state, step=step), state.point + share * state.move, reply, best)
        shorter = replace(state, move=state.move[:0], step=0.25 * state.step)
        if shorter.step > SMALLEST * self.step_size:
            return shorter
        return ended(shorter, Status.STALLED, "no move that local epochs proposed lowers the objective")

    def _epochs(self, state: LocalSvrgState, last_step: float, anchor_gradient: Array | None) -> EpochQuestion:
        return EpochQuestion(
            state.point, state.step, last_step, self.epochs, self.seed, state.round, self.damping, anchor_gradient
        )

    def _proposed(self, state: LocalSvrgState, reply: Reply) -> LocalSvrgState:
        assert reply.local_point is not None
        return replace(state, move=reply.local_point - state.point, round=state.round + 1)

    def _moved(self, state: LocalSvrgState, point: Array, reply: Reply, best: int) -> LocalSvrgState:
        gradient = reply.gradients[best]
        return replace(
            state,
            point=point,
            value=float(reply.values[best]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=float(np.linalg.norm(gradient)),
            move=state.move[:0],
        )
