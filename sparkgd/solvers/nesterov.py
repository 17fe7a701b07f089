"""Accelerated proximal gradient with a ladder of steps and adaptive restart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import numpy.typing as npt

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import ROUNDING
from sparkgd.solvers.residual import prox_residual

RUNGS: Array = np.array([2.0, 1.0, 0.5, 0.25])
MAX_FAILURES = 10


@dataclass(frozen=True)
class NesterovState(State):
    """Adds the extrapolated point from which the next step is taken.

    Attributes
    ----------
    lead : ndarray (n,)
        The extrapolated point; ``lead_value`` and ``lead_gradient`` are f and its gradient there.
    inertia : float
        FISTA's t: 1 after a restart, then growing.
    step : float
        The last accepted step size.
    failures : int
        Ladders without an acceptable step in a row.
    """

    lead: Array
    lead_value: float
    lead_gradient: Array
    inertia: float
    step: float
    failures: int


@dataclass(frozen=True)
class _Trials:
    """A trial of each rung: steps (m,), points (m, n), the leads that would follow (m, n) and their inertia (m,)."""

    steps: Array
    points: Array
    leads: Array
    inertias: Array


@dataclass(frozen=True)
class Nesterov(Solver[NesterovState]):
    """``u+ = prox(v - step * grad f(v), step)``, ``v+ = u+ + (t - 1)/t+ * (u+ - u)``: FISTA (Beck and Teboulle, 2009).

    The largest of four steps, 1/4 to 2 times the last one, under whose quadratic model f lies is taken. One round
    evaluates for each of them the point and the extrapolated point that would follow it, so an iteration is one round.
    The inertia t follows changes of the step (Scheinberg, Goldfarb and Bai, 2014), and is lost whenever the step points
    against the last displacement (O'Donoghue and Candes, 2015).
    """

    initial_step: float = 1.0
    penalty: Penalty = NoPenalty()
    name: str = "nesterov"

    def start(self, point: Array) -> NesterovState:
        zeros = np.zeros_like(point)
        return NesterovState(
            point, np.nan, zeros, -1, np.inf, np.nan, None,
            lead=point, lead_value=np.nan, lead_gradient=zeros, inertia=1.0, step=self.initial_step, failures=0,
        )  # fmt: skip

    def ask(self, state: NesterovState) -> Question:
        if state.iteration < 0:
            return GradientQuestion(state.point[None, :])
        trials = self._trials(state)
        return GradientQuestion(np.concatenate([trials.points, trials.leads]))

    def tell(self, state: NesterovState, reply: Reply) -> NesterovState:
        if state.iteration < 0:
            return self._moved(state, state.point, reply, 0, 0)
        trials = self._trials(state)
        good = np.flatnonzero(_acceptable(state, trials, reply))
        if len(good) == 0:
            return self._failed(state)
        best = int(good[0])
        state = replace(
            state, lead=trials.leads[best], inertia=float(trials.inertias[best]), step=float(trials.steps[best])
        )
        return self._moved(state, trials.points[best], reply, best, len(RUNGS) + best)

    def _trials(self, state: NesterovState) -> _Trials:
        steps = state.step * RUNGS
        points = np.array([self.penalty.prox(state.lead - s * state.lead_gradient, float(s)) for s in steps])
        moves = points - state.point
        grown = np.array([0.5 * (1.0 + sqrt(1.0 + 4.0 * state.inertia**2 / rung)) for rung in RUNGS])
        restart = np.einsum("mn,mn->m", state.lead - points, moves) > 0.0
        extrapolation = np.where(restart, 0.0, (state.inertia - 1.0) / grown)
        return _Trials(steps, points, points + extrapolation[:, None] * moves, np.where(restart, 1.0, grown))

    def _moved(self, state: NesterovState, point: Array, reply: Reply, at: int, lead_at: int) -> NesterovState:
        gradient = reply.gradients[at]
        return replace(
            state,
            point=point,
            value=float(reply.values[at]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=prox_residual(self.penalty, point, gradient),
            lead_value=float(reply.values[lead_at]),
            lead_gradient=reply.gradients[lead_at],
            failures=0,
        )

    def _failed(self, state: NesterovState) -> NesterovState:
        failed = replace(state, step=state.step * RUNGS[-1] / RUNGS[0] / 2.0, failures=state.failures + 1)
        if failed.failures < MAX_FAILURES:
            return failed
        return ended(failed, Status.STALLED, "no step along the negative gradient lowers the objective")


def _acceptable(state: NesterovState, trials: _Trials, reply: Reply) -> npt.NDArray[np.bool_]:
    """Whether f lies below its quadratic model at each trial; where rounding hides it, whether its curvature does."""
    values, gradients = reply.values[: len(RUNGS)], reply.gradients[: len(RUNGS)]
    moves = trials.points - state.lead
    allowed = 0.5 * np.einsum("mn,mn->m", moves, moves) / trials.steps
    excess = values - state.lead_value - moves @ state.lead_gradient
    curved = 0.5 * np.einsum("mn,mn->m", moves, gradients - state.lead_gradient)
    hidden = allowed <= 1e3 * ROUNDING * abs(state.lead_value)
    # In well scaled coordinates a quadratic f touches its model: rounding must not decide.
    return np.asarray(np.where(hidden, curved, excess) <= (1.0 + 1e-6) * allowed)
