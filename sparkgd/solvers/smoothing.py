"""Losses with kinks: any smooth solver, on a sequence of smoothed losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import (
    Certificate,
    CertificateQuestion,
    CompoundQuestion,
    GradientQuestion,
    HessianQuestion,
    Question,
    Reply,
    SmoothedQuestion,
)
from sparkgd.questions.base import KernelQuestion
from sparkgd.solvers.base import Array, Ending, Solver, State, Status, ended
from sparkgd.solvers.residual import prox_residual

SHRINK = 0.3
"""Ratio of successive widths."""

SOLVED = 0.1
"""A smoothed problem is solved well enough when its own gap is this share of what smoothing hides."""


@dataclass(frozen=True)
class SmoothingState(State):
    """Adds the inner solver's state. ``point`` and ``value`` are those of the best point so far.

    Attributes
    ----------
    inner : State
        Of the solver of the smoothed problem.
    width, next_width : float
        Of the smoothed problem under way, and of the next.
    error : float
        What smoothing hides at the inner solver's point: the gap of an exact solution of the smoothed problem.
    bound : float
        Largest dual objective so far: no point has a smaller objective. Zero to begin with, since neither losses nor
        penalties are negative.
    is_provable : bool
        Whether the last dual point gave a bound; none does where a weight has no penalty.
    objective : float
        At ``point``.
    """

    inner: State
    width: float
    next_width: float
    error: float = np.inf
    bound: float = 0.0
    is_provable: bool = True
    objective: float = np.inf

    @property
    def duality_gap(self) -> float:
        return self.objective - self.bound


@dataclass(frozen=True)
class Smoothing(Solver[SmoothingState]):
    """Continuation in the width of a smoothed loss (Nesterov, 2005; Becker, Candes and Grant, 2011).

    The derivative of a smoothed loss is a feasible dual variable of the loss itself, so every round also yields a lower
    bound of the minimum, and with it a proof of how good the best point is. A smoothed problem is left for the next as
    soon as smoothing, rather than the inner solver, causes most of the gap.

    Parameters
    ----------
    inner : Solver
        For smooth losses.
    width : float
        To begin with: so wide that most rows lie within it.
    tol : float
        Converged when the duality gap is at most ``tol`` times the objective.
    penalty : Penalty
        The rough part, in solver coordinates.
    is_eager : bool
        Whether each round also evaluates the next width, and what the inner solver asks if it is refused, so that
        neither costs a round: for rows that are far away.
    """

    inner: Solver[Any]
    width: float
    tol: float = 1e-6
    penalty: Penalty = NoPenalty()
    is_eager: bool = True
    judges_itself: bool = True
    name: str = "smoothing"

    def start(self, point: Array) -> SmoothingState:
        inner = self.inner.start(point)
        return SmoothingState(
            point, np.nan, np.zeros_like(point), -1, np.inf, np.nan, None,
            inner=inner, width=self.width, next_width=SHRINK * self.width,
        )  # fmt: skip

    def restart(self, state: SmoothingState) -> SmoothingState:
        """Keeps the width, and the bound: the new objective must nowhere be below the old one."""
        start = self.start(state.point)
        return replace(start, width=state.width, next_width=state.next_width, bound=state.bound)

    def ask(self, state: SmoothingState) -> Question:
        if _awaits_proof(state):
            point = state.point[None, :]
            slopes = SmoothedQuestion(GradientQuestion(point), state.width)
            return CompoundQuestion((CertificateQuestion(point, state.width), slopes))
        question = self.inner.ask(state.inner)
        assert isinstance(question, KernelQuestion)
        points = question.evaluated
        parts = (CertificateQuestion(points, state.width), SmoothedQuestion(question, state.width))
        if not self.is_eager:
            return CompoundQuestion(parts)
        next_start = question if isinstance(question, HessianQuestion) else GradientQuestion(points)
        return CompoundQuestion((*parts, SmoothedQuestion(next_start, state.next_width), *self._fallback(state)))

    def tell(self, state: SmoothingState, reply: Reply) -> SmoothingState:
        if _awaits_proof(state):
            return self._proved(state, *reply.parts)
        certified, current, *ahead = reply.parts
        finer, fallback = ahead[:1], ahead[1:]
        inner = self.inner.tell(state.inner, current)
        if fallback and inner.ending is None and inner.iteration == state.inner.iteration:
            inner = self.inner.tell(inner, fallback[0])
        if inner.iteration > state.inner.iteration:
            assert certified.certificate is not None
            index = self._accepted(state, inner)
            found = self._certified(state, inner, certified.certificate, index)
            return self._judged(found, [_at(part, index) for part in finer])
        return replace(state, inner=inner) if inner.ending is None else self._stuck(state, inner.ending)

    def _proved(self, state: SmoothingState, certified: Reply, slopes: Reply) -> SmoothingState:
        """The state after the round in which its bound may already prove that the point is good enough."""
        assert certified.certificate is not None
        residual = prox_residual(self.penalty, state.point, slopes.gradients[0])
        evaluated = replace(state.inner, gradient=slopes.gradients[0], residual=residual)
        state = self._certified(state, evaluated, certified.certificate, 0)
        state = replace(state, inner=self.inner.start(state.point), gap=state.duality_gap)
        return ended(state, Status.CONVERGED, self._reason(state)) if state.gap <= self._limit(state) else state

    def _accepted(self, state: SmoothingState, inner: State) -> int:
        """Which of the points asked for the inner solver has moved to."""
        question = self.inner.ask(state.inner)
        assert isinstance(question, KernelQuestion)
        return int(np.argmin(np.linalg.norm(question.evaluated - inner.point, axis=1)))

    def _fallback(self, state: SmoothingState) -> tuple[SmoothedQuestion, ...]:
        """What a solver with Hessian would ask next if its full step failed, as it often does near kinks."""
        question = self.inner.ask(state.inner)
        if state.inner.iteration < 0 or not isinstance(question, HessianQuestion):
            return ()
        refused = Reply(np.array([np.inf]), np.full((1, len(question.point)), np.inf))
        shorter = self.inner.ask(self.inner.tell(state.inner, refused))
        return (SmoothedQuestion(shorter, state.width),) if isinstance(shorter, GradientQuestion) else ()

    def _certified(self, state: SmoothingState, inner: State, found: Certificate, index: int) -> SmoothingState:
        """The state after an iteration, with the best point and the best bound so far."""
        state = replace(
            state,
            inner=inner,
            gradient=inner.gradient,
            residual=inner.residual,
            iteration=state.iteration + 1,
            error=float(found.errors[index]),
            bound=max(state.bound, float(found.bounds[index])),
            is_provable=bool(np.isfinite(found.bounds[index])),
        )
        objective = float(found.objectives[index])
        if not objective < state.objective:
            return state
        value = objective - self.penalty.rough_value(inner.point)
        return replace(state, point=inner.point, value=value, objective=objective)

    def _judged(self, state: SmoothingState, finer: Sequence[Reply]) -> SmoothingState:
        """Stop, stay at the width, or go on to the next, where ``finer`` may be known already."""
        inner_gap = _gap(state.inner)
        estimate = np.inf if state.is_provable else state.error + inner_gap
        gap, limit = min(state.duality_gap, estimate), self._limit(state)
        state = replace(state, gap=gap)
        if gap <= limit:
            return ended(state, Status.CONVERGED, self._reason(state))
        if state.error <= 0.5 * limit or inner_gap > SOLVED * state.error:
            return state
        return self._narrowed(state, reduce(self.inner.tell, finer, self.inner.restart(state.inner)))

    def _stuck(self, state: SmoothingState, ending: Ending) -> SmoothingState:
        """Go on to the next width where the inner solver finds no better point, unless the width is not the cause."""
        if state.error <= 0.5 * self._limit(state):
            return ended(state, Status.STALLED, f"{ending.reason}; {self._reason(state)}")
        return self._narrowed(state, self.inner.start(state.inner.point))

    def _narrowed(self, state: SmoothingState, inner: State) -> SmoothingState:
        return replace(state, inner=inner, width=state.next_width, next_width=SHRINK * state.next_width)

    def _limit(self, state: SmoothingState) -> float:
        return self.tol * abs(state.objective)

    def _reason(self, state: SmoothingState) -> str:
        limit = self._limit(state)
        against = f"{state.gap:.3g} {'<=' if state.gap <= limit else '>'} {limit:.3g}"
        if state.gap == state.duality_gap:
            return f"duality gap {against}"
        return f"estimated gap {against} at smoothing width {state.width:.3g} (no proof: weights without L2 penalty)"


def _awaits_proof(state: SmoothingState) -> bool:
    """Whether a bound is known but no objective: a round for the latter costs little, and may be all that is needed."""
    return state.iteration < 0 and state.bound > 0.0


def _at(reply: Reply, index: int) -> Reply:
    """The reply for one of its points."""
    return Reply(reply.values[[index]], reply.gradients[[index]], reply.hessian)


def _gap(inner: State) -> float:
    """The inner solver's distance from its own minimum: coordinates are such that the Hessian is about 1."""
    return inner.gap if np.isfinite(inner.gap) else 0.5 * inner.residual**2
