"""Mini-batch stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, Question, Reply, Sample
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.sampling import BernoulliRows, UniformRows
from sparkgd.solvers.schedules import Constant, Schedule
from sparkgd.solvers.updates import Momentum, Update


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
    """Adds what update rule and schedule remember, and the mean of all points so far.

    Attributes
    ----------
    update_memory : ndarray (k, n)
    schedule_memory : ndarray
    mean_point : ndarray (n,)
    """

    update_memory: Array
    schedule_memory: Array
    mean_point: Array


@dataclass(frozen=True)
class StochasticGradientDescent(Solver[StochasticState]):
    """``u <- prox(u + move(g_t))``, g_t the mean gradient of a mini-batch, the move that of an `Update`.

    ``value`` and ``gradient`` of a state are the batch's, at the point before the step. Iteration t means t steps made.
    Without momentum and with ``batch_size=1`` this is the founding SGD, whose step ``learning_rate / m`` is
    ``step_size`` here.

    Parameters
    ----------
    batches : Batches
    schedule : Schedule
    update : Update
    averaging : bool
        Whether the result is the mean of all points (Polyak and Juditsky, 1992) instead of the last one.
    tol : float
        Ends when a step is shorter than ``tol * max(norm(u), 1)``, the rule of MLlib's legacy SGD; 0 never does.
    """

    batches: Batches
    schedule: Schedule = Constant(1.0)
    update: Update = Momentum()
    averaging: bool = False
    tol: float = 0.0
    penalty: Penalty = NoPenalty()
    name: str = "sgd"
    is_stochastic: bool = True

    def start(self, point: Array) -> StochasticState:
        return StochasticState(
            point, np.nan, np.zeros_like(point), 0, np.inf, np.nan, None,
            update_memory=self.update.start(len(point)), schedule_memory=self.schedule.start(), mean_point=point,
        )  # fmt: skip

    def ask(self, state: StochasticState) -> Question:
        return GradientQuestion(state.point[None, :], self.batches.at(state.iteration + 1))

    def tell(self, state: StochasticState, reply: Reply) -> StochasticState:
        gradient, value, step = reply.gradients[0], float(reply.values[0]), state.iteration + 1
        size = self.schedule.step_size(step, state.schedule_memory)
        memory = self.update.learn(state.update_memory, gradient, size)
        moved = state.point + self.update.move(memory, gradient, size, step)
        before, point = state.point, self.penalty.prox(moved, self.update.prox_step(memory, size, step))
        state = replace(
            state,
            point=point,
            value=value,
            gradient=gradient,
            iteration=step,
            residual=float(np.linalg.norm(gradient)),
            update_memory=self.update.moved(memory, point - state.point),
            schedule_memory=self.schedule.heard(state.schedule_memory, value),
            mean_point=state.mean_point + (point - state.mean_point) / step,
        )
        return self._checked(state, float(np.linalg.norm(point - before)))

    def result(self, state: StochasticState) -> Array:
        return state.mean_point if self.averaging else state.point

    def _checked(self, state: StochasticState, length: float) -> StochasticState:
        size = float(np.linalg.norm(state.point))
        if 0.0 < length < self.tol * max(size, 1.0):  # a batch without any row moves nothing
            return ended(state, Status.CONVERGED, f"the last step, {length:.3g}, is below tol * max(norm(coef), 1)")
        return state
