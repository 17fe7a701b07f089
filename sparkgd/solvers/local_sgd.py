"""Local SGD: each partition makes stochastic steps on its own rows, then the results are averaged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.questions import CompoundQuestion, EpochQuestion, GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended

FALL = 10.0
"""Ratio of the first and the last step of an epoch."""

COOLING = 4.0
"""Ratio of the step sizes of successive rounds."""

SMALLEST = 1e-6
"""Step, in units of ``step_size``, at which epochs change nothing any more."""


@dataclass(frozen=True)
class LocalSgdState(State):
    """``point`` is where the last epochs led; ``value`` and ``gradient`` are those of the point that they left.

    Attributes
    ----------
    best_point : ndarray (n,)
        Of all evaluated points.
    best_value : float
    step : float
        First step of the next epochs.
    """

    best_point: Array
    best_value: float
    step: float


@dataclass(frozen=True)
class LocalSgd(Solver[LocalSgdState]):
    """Local SGD, also known as parallel SGD with averaging (Zinkevich et al., 2010; Stich, 2019).

    A round sends one point to all partitions. Each goes over its rows in random order with steps that fall from one
    round to the next, and averages the iterates of the epoch's last fifth; the averages of all partitions are averaged
    in turn. The same round sums value and gradient at the point that it left, so every entry of the history is the true
    objective. An epoch that has raised it is forgotten: the next one starts at the best point, with a quarter of the
    step. Partitions that differ pull apart, and their average is near the optimum, not at it: see `LocalSvrg`.

    Parameters
    ----------
    step_size : float
        About the inverse of the curvature of a single row.
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
    name: str = "localSGD"
    is_stochastic: bool = True

    def start(self, point: Array) -> LocalSgdState:
        zeros = np.zeros_like(point)
        return LocalSgdState(
            point, np.nan, zeros, 0, np.inf, np.nan, None,
            best_point=point, best_value=np.inf, step=self.step_size,
        )  # fmt: skip

    def ask(self, state: LocalSgdState) -> Question:
        epoch = EpochQuestion(
            state.point, state.step, state.step / FALL, self.epochs, self.seed, state.iteration, self.damping
        )
        return CompoundQuestion((GradientQuestion(state.point[None, :]), epoch))

    def tell(self, state: LocalSgdState, reply: Reply) -> LocalSgdState:
        evaluated, epoch = reply.parts
        value, gradient = float(evaluated.values[0]), evaluated.gradients[0]
        assert epoch.local_point is not None
        if not value <= state.best_value:  # equal where a forgotten epoch began again
            return self._checked(
                replace(state, point=state.best_point, iteration=state.iteration + 1, step=0.25 * state.step)
            )
        moved = replace(
            state,
            point=epoch.local_point,
            value=value,
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=float(np.linalg.norm(gradient)),
            best_point=state.point,
            best_value=value,
            step=state.step / COOLING,
        )
        if not np.isfinite(moved.point).all():
            moved = replace(moved, point=state.point, step=0.25 * state.step)
        return self._checked(moved)

    def _checked(self, state: LocalSgdState) -> LocalSgdState:
        if state.step > SMALLEST * self.step_size:
            return state
        return ended(state, Status.STALLED, "steps have become too small to get nearer to the optimum")

    def settled(self, state: LocalSgdState, reply: Reply) -> LocalSgdState:
        if reply.values[0] < state.best_value:
            return super().settled(state, reply)
        return replace(state, point=state.best_point, value=state.best_value)
