"""Mini-batch stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.solvers.base import Array, GradientRequest, Reply, Request, Sample, Solver, State, Status, ended
from sparkgd.solvers.sampling import BernoulliRows, UniformRows
from sparkgd.solvers.schedules import Constant, Schedule


class Batches(Protocol):
    """The rule that makes each step's sample."""

    def at(self, step: int) -> Sample: ...


@dataclass(frozen=True)
class UniformBatches:
    """``batch_size`` of ``total`` rows a step, drawn uniformly with replacement."""

    seed: int
    batch_size: int
    total: int

    def at(self, step: int) -> UniformRows:
        return UniformRows(self.seed, step, self.batch_size, self.total)


@dataclass(frozen=True)
class BernoulliBatches:
    """Each row with probability ``fraction`` in every step."""

    seed: int
    fraction: float

    def at(self, step: int) -> BernoulliRows:
        return BernoulliRows(self.seed, step, self.fraction)


@dataclass(frozen=True)
class StochasticState(State):
    """Adds the last displacement (for momentum)."""

    velocity: Array


@dataclass(frozen=True)
class StochasticGradientDescent(Solver[StochasticState]):
    """``u <- prox(u - step_size(t) * g_t + momentum * (last displacement))``, g_t the mean gradient of a mini-batch.

    ``value`` and ``gradient`` of a state are the batch's, at the point before the step. Iteration t means t steps made.
    With ``batch_size=1`` this is the founding SGD, whose step ``learning_rate / m`` is ``step_size`` here.

    Parameters
    ----------
    batches : Batches
    schedule : Schedule
    momentum : float
        In [0, 1).
    tol : float
        Ends when a step is shorter than ``tol * max(norm(u), 1)``, the rule of MLlib's legacy SGD; 0 never does.
    """

    batches: Batches
    schedule: Schedule = Constant(1.0)
    momentum: float = 0.0
    tol: float = 0.0
    penalty: Penalty = NoPenalty()
    name: str = "sgd"
    is_stochastic: bool = True

    def start(self, point: Array) -> StochasticState:
        zeros = np.zeros_like(point)
        return StochasticState(point, np.nan, zeros, 0, np.inf, np.nan, None, velocity=zeros)

    def ask(self, state: StochasticState) -> Request:
        return GradientRequest(state.point[None, :], self.batches.at(state.iteration + 1))

    def tell(self, state: StochasticState, reply: Reply) -> StochasticState:
        gradient = reply.gradients[0]
        step = self.schedule.step_size(state.iteration + 1)
        moved = state.point - step * gradient + self.momentum * state.velocity
        point = self.penalty.prox(moved, step)
        velocity = point - state.point
        state = replace(
            state,
            point=point,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=float(np.linalg.norm(gradient)),
            velocity=velocity,
        )
        length, size = float(np.linalg.norm(velocity)), float(np.linalg.norm(point))
        if 0.0 < length < self.tol * max(size, 1.0):  # a batch without any row moves nothing
            return ended(state, Status.CONVERGED, f"the last step, {length:.3g}, is below tol * max(norm(coef), 1)")
        return state
