"""Gradient descent with a step-size schedule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State
from sparkgd.solvers.residual import prox_residual
from sparkgd.solvers.schedules import Constant, Schedule


@dataclass(frozen=True)
class DescentState(State):
    """Adds the point to evaluate next and the last displacement (for momentum)."""

    trial: Array
    velocity: Array
    schedule_memory: Array


@dataclass(frozen=True)
class GradientDescent(Solver[DescentState]):
    """``u <- prox(u - step_size(t) * grad f(u) + momentum * (last displacement))``.

    Without momentum, rough penalty and rescaling these are the founding iterates
    ``theta -= learning_rate * x^T (x theta - y) / m``. Momentum is Polyak's heavy ball (1964).
    """

    schedule: Schedule = Constant(1.0)
    momentum: float = 0.0
    penalty: Penalty = NoPenalty()
    name: str = "gd"

    def start(self, point: Array) -> DescentState:
        zeros = np.zeros_like(point)
        return DescentState(
            point, np.nan, zeros, -1, np.inf, np.nan, None, trial=point, velocity=zeros,
            schedule_memory=self.schedule.start(),
        )  # fmt: skip

    def ask(self, state: DescentState) -> Question:
        return GradientQuestion(state.trial[None, :])

    def tell(self, state: DescentState, reply: Reply) -> DescentState:
        point, gradient = state.trial, reply.gradients[0]
        iteration = state.iteration + 1
        memory = self.schedule.heard(state.schedule_memory, float(reply.values[0]))
        step = self.schedule.step_size(iteration + 1, memory)
        trial = self.penalty.prox(point - step * gradient + self.momentum * state.velocity, step)
        return replace(
            state,
            point=point,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=iteration,
            residual=prox_residual(self.penalty, point, gradient),
            trial=trial,
            velocity=trial - point,
            schedule_memory=memory,
        )
