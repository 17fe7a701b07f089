"""Losses with kinks: any smooth solver, on a sequence of smoothed losses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.solvers.base import (
    Array, Certificate, CertificateRequest, CompoundRequest, GradientRequest, HessianRequest, ProductRequest, Reply,
    Request, SmoothedRequest, Solver, State, Status, ended,
)  # fmt: skip

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
    bound : float
        Largest dual objective so far: no point has a smaller objective.
    objective : float
        At ``point``.
    """

    inner: State
    width: float
    next_width: float
    bound: float = -np.inf
    objective: float = np.inf

    @property
    def duality_gap(self) -> float:
        return self.objective - self.bound


@dataclass(frozen=True)
class Smoothing(Solver[SmoothingState]):
    """Continuation in the width of a smoothed loss (Nesterov, 2005; Becker, Candes and Grant, 2011).

    The derivative of a smoothed loss is a feasible dual variable of the loss itself, so every round also yields a lower
    bound of the minimum, and with it a proof of how good the best point is. A smoothed problem is left for the next as
    soon as smoothing, rather than the inner solver, causes most of the gap. Each round evaluates the next width beside
    the current one, so that moving on costs no round.

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
    """

    inner: Solver[Any]
    width: float
    tol: float = 1e-6
    penalty: Penalty = NoPenalty()
    judges_itself: bool = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    def start(self, point: Array) -> SmoothingState:
        inner = self.inner.start(point)
        return SmoothingState(
            point, np.nan, np.zeros_like(point), -1, np.inf, np.nan, None,
            inner=inner, width=self.width, next_width=SHRINK * self.width,
        )  # fmt: skip

    def ask(self, state: SmoothingState) -> Request:
        request = self.inner.ask(state.inner)
        assert not isinstance(request, CompoundRequest)
        current = SmoothedRequest(request, state.width)
        if isinstance(request, ProductRequest):
            return CompoundRequest((current,))
        certificate = CertificateRequest(_points(request), state.width)
        finer = SmoothedRequest(request, state.next_width)
        return CompoundRequest((certificate, current, finer, *self._fallback(state)))

    def tell(self, state: SmoothingState, reply: Reply) -> SmoothingState:
        if len(reply.parts) == 1:
            return replace(state, inner=self.inner.tell(state.inner, reply.parts[0]))
        certified, current, finer, *fallback = reply.parts
        inner = self.inner.tell(state.inner, current)
        if fallback and inner.ending is None and inner.iteration == state.inner.iteration:
            inner = self.inner.tell(inner, fallback[0])
        if inner.ending is None and inner.iteration == state.inner.iteration:
            return replace(state, inner=inner)
        request = self.inner.ask(state.inner)
        assert isinstance(request, GradientRequest | HessianRequest) and certified.certificate is not None
        index = int(np.argmin(np.linalg.norm(_points(request) - inner.point, axis=1)))
        moved = self._certified(state, inner, certified.certificate, index)
        return self._judged(moved, float(certified.certificate.errors[index]), _at(finer, index))

    def _fallback(self, state: SmoothingState) -> tuple[SmoothedRequest, ...]:
        """What a solver with Hessian would ask next if its full step failed, as it often does near kinks."""
        request = self.inner.ask(state.inner)
        if state.inner.iteration < 0 or not isinstance(request, HessianRequest):
            return ()
        refused = Reply(np.array([np.inf]), np.full((1, len(request.point)), np.inf))
        shorter = self.inner.ask(self.inner.tell(state.inner, refused))
        return (SmoothedRequest(shorter, state.width),) if isinstance(shorter, GradientRequest) else ()

    def _certified(self, state: SmoothingState, inner: State, found: Certificate, index: int) -> SmoothingState:
        """The state after an iteration, with the best point and the best bound so far."""
        state = replace(
            state,
            inner=inner,
            gradient=inner.gradient,
            residual=inner.residual,
            iteration=state.iteration + 1,
            bound=max(state.bound, float(found.bounds[index])),
        )
        objective = float(found.objectives[index])
        if not objective < state.objective:
            return state
        value = objective - self.penalty.rough_value(inner.point)
        return replace(state, point=inner.point, value=value, objective=objective)

    def _judged(self, state: SmoothingState, error: float, finer: Reply) -> SmoothingState:
        """Stop, stay at the width, or go on to the next."""
        inner_gap = _gap(state.inner)
        gap = state.duality_gap if np.isfinite(state.bound) else error + inner_gap
        state = replace(state, gap=gap)
        limit = self.tol * abs(state.objective)
        if gap <= limit:
            return ended(state, Status.CONVERGED, self._reason(state, limit))
        inner_ended = state.inner.ending is not None
        if error > 0.5 * limit and (inner_gap <= SOLVED * error or inner_ended):
            inner = self.inner.moved_target(replace(state.inner, ending=None), finer)
            return replace(state, inner=inner, width=state.next_width, next_width=SHRINK * state.next_width)
        if inner_ended:
            assert state.inner.ending is not None
            return ended(state, Status.STALLED, f"{state.inner.ending.reason}; {self._reason(state, limit)}")
        return state

    def _reason(self, state: SmoothingState, limit: float) -> str:
        if np.isfinite(state.bound):
            return f"duality gap {state.gap:.3g}, limit {limit:.3g}"
        return f"estimated gap {state.gap:.3g}, limit {limit:.3g}, at smoothing width {state.width:.3g} (weights without an L2 penalty leave no dual bound)"


def _points(request: GradientRequest | HessianRequest) -> Array:
    return request.points if isinstance(request, GradientRequest) else request.point[None, :]


def _at(reply: Reply, index: int) -> Reply:
    """The reply for one of its points."""
    return Reply(reply.values[[index]], reply.gradients[[index]], reply.hessian)


def _gap(inner: State) -> float:
    """The inner solver's distance from its own minimum: coordinates are such that the Hessian is about 1."""
    return inner.gap if np.isfinite(inner.gap) else 0.5 * inner.residual**2
