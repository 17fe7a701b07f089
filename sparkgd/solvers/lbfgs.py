"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung
from sparkgd.solvers.pieces import aligned, cut_moves, free_entries, steepest_descent
from sparkgd.solvers.residual import prox_residual, prox_residuals, total_values


class Matrix(Protocol):
    """A symmetric positive definite matrix M, known by what it does."""

    def solve(self, vector: Array) -> Array:
        """About ``M^-1 v`` (n,); its product with v is positive unless v is zero."""
        ...

    def product(self, vector: Array) -> Array:
        """``M v``."""
        ...


class Metric(Protocol):
    """A model of the Hessian, for the curvature pairs to correct."""

    def at(self, point: Array) -> Matrix:
        """The model at a point."""
        ...


@dataclass(frozen=True)
class LbfgsState(State):
    """Adds the curvature pairs and the current line search.

    Attributes
    ----------
    moves, changes : tuples of ndarray (n,)
        Differences of successive points and of their gradients, oldest first, at most ``memory``. Each is an array of
        its own: with very many columns, to copy all for every new one took longer than all else in an iteration.
    direction : ndarray (n,)
        Search direction; zeros before the first reply.
    steps : ndarray (m,)
        Steps along it to evaluate next.
    """

    moves: tuple[Array, ...]
    changes: tuple[Array, ...]
    direction: Array
    steps: Array


@dataclass(frozen=True)
class Lbfgs(Solver[LbfgsState]):
    """L-BFGS (Liu and Nocedal, 1989) with the two-loop recursion; under L1 or bounds on their linear pieces.

    With L1 this is OWL-QN (Andrew and Gao, 2007), with bounds a projected quasi-Newton method: weights that rest at a
    kink or a wall are fixed, the curvature pairs are restricted to the others, and steps end where their piece ends.

    The unit step is tried first; when it fails, ``trials`` shorter steps are tried in one round. A line search that
    fails altogether drops the memory and starts again from the steepest descent.

    The recursion begins with the identity, or with a ``metric`` where one is given: then the pairs only have to correct
    that. Either is scaled to the curvature of the last pair (Nocedal and Wright, 2006: Numerical optimization, section
    7.2), so that a metric that is too small throughout does not make steps too long.
    """

    memory: int = 20
    trials: int = 8
    penalty: Penalty = NoPenalty()
    name: str = "l-bfgs"
    metric: Metric | None = None

    def start(self, point: Array) -> LbfgsState:
        zeros = np.zeros_like(point)
        return LbfgsState(
            point, np.nan, zeros, -1, np.inf, np.nan, None,
            moves=(), changes=(), direction=zeros, steps=np.zeros(1),
        )  # fmt: skip

    def restart(self, state: LbfgsState) -> LbfgsState:
        """Keeps the curvature pairs."""
        return replace(self.start(state.point), moves=state.moves, changes=state.changes)

    def mapped(self, state: LbfgsState, change: Callable[[Array], Array]) -> LbfgsState:
        """Keeps what the curvature pairs tell of the entries that remain."""
        moves, changes = (tuple(change(each) for each in pairs) for pairs in (state.moves, state.changes))
        return self.restart(replace(state, point=change(state.point), moves=moves, changes=changes))

    def ask(self, state: LbfgsState) -> Question:
        return GradientQuestion(self._trials(state))

    def tell(self, state: LbfgsState, reply: Reply) -> LbfgsState:
        trials = self._trials(state)
        if state.iteration < 0:
            return self._moved(state, trials[0], float(reply.values[0]), reply.gradients[0])
        steepest = steepest_descent(self.penalty, state.point, state.gradient)
        best = best_rung(
            state.value + self.penalty.rough_value(state.point),
            state.residual,
            total_values(self.penalty, trials, reply.values),
            prox_residuals(self.penalty, trials, reply.gradients),
            (trials - state.point) @ steepest,
        )
        if best < 0:
            return self._failed(state)
        point, gradient = trials[best], reply.gradients[best]
        return self._moved(self._remember(state, point, gradient), point, float(reply.values[best]), gradient)

    def _trials(self, state: LbfgsState) -> Array:
        steepest = steepest_descent(self.penalty, state.point, state.gradient)
        return cut_moves(self.penalty, state.point, steepest, state.direction, state.steps)

    def _remember(self, state: LbfgsState, point: Array, gradient: Array) -> LbfgsState:
        move, change = point - state.point, gradient - state.gradient
        if not _is_curved(move, change):
            return state
        return replace(
            state,
            moves=(*state.moves, move)[-self.memory :],
            changes=(*state.changes, change)[-self.memory :],
        )

    def _moved(self, state: LbfgsState, point: Array, value: float, gradient: Array) -> LbfgsState:
        return replace(
            state,
            point=point,
            value=value,
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=prox_residual(self.penalty, point, gradient),
            direction=self._direction(point, gradient, state),
            steps=np.ones(1) if state.moves or self.metric is not None else self._first_ladder(),
        )

    def _first_ladder(self) -> Array:
        """Steps of the first iteration, when nothing is known of the scale."""
        return np.exp2(np.arange(self.trials) - self.trials // 2)

    def _direction(self, point: Array, gradient: Array, state: LbfgsState) -> Array:
        steepest = steepest_descent(self.penalty, point, gradient)
        free = free_entries(self.penalty, point, steepest)
        solve = None if self.metric is None else scaled_inverse(self.metric.at(point), state.moves, state.changes)
        direction = inverse_hessian_product(state.moves, state.changes, steepest, free, solve)
        return aligned(self.penalty, point, steepest, direction)

    def _failed(self, state: LbfgsState) -> LbfgsState:
        shortest = float(state.steps.min())
        if shortest > 2.0**-16:
            return replace(state, steps=shortest * np.exp2(-1.0 - np.arange(self.trials)))
        steepest = steepest_descent(self.penalty, state.point, state.gradient)
        if np.array_equal(state.direction, steepest):
            return ended(state, Status.STALLED, "no step along the steepest descent lowers the objective")
        return replace(state, moves=(), changes=(), direction=steepest, steps=self._first_ladder())


def _is_curved(move: Array, change: Array) -> bool:
    """Whether a pair shows enough curvature to keep the inverse Hessian's approximation positive definite."""
    return float(move @ change) > 1e-10 * float(np.linalg.norm(move) * np.linalg.norm(change))


def scaled_inverse(metric: Matrix, moves: Sequence[Array], changes: Sequence[Array]) -> Callable[[Array], Array]:
    """The inverse of the metric M, times ``s . M s / s . y`` where there is a last pair (s, y)."""
    scale = 1.0
    if len(moves):
        curvature = float(moves[-1] @ metric.product(moves[-1]))
        # A loss that is not convex may curve the other way at this point.
        scale = curvature / float(moves[-1] @ changes[-1]) if curvature > 0.0 else 1.0
    return lambda vector: scale * metric.solve(vector)


def inverse_hessian_product(
    moves: Sequence[Array],
    changes: Sequence[Array],
    vector: Array,
    free: npt.NDArray[np.bool_],
    solve: Callable[[Array], Array] | None = None,
) -> Array:
    """The L-BFGS approximation of ``H^-1 v`` (two-loop recursion; Nocedal, 1980) within the ``free`` entries.

    Pairs that are flat there are left out. They are restricted one by one: a copy of all would be many points long.
    Under L1 few entries are free, and all vectors are as short.
    ``solve`` applies the inverse Hessian that they correct; without it, that is a multiple of the identity.
    """
    everywhere, entries = bool(free.all()), np.flatnonzero(free)

    def within(array: Array) -> Array:
        return array if everywhere else array[entries]

    def whole(array: Array) -> Array:
        if everywhere:
            return array
        spread = np.zeros(len(free))
        spread[entries] = array
        return spread

    result, scale = within(vector).copy(), 1.0
    used: list[tuple[Array, Array, float, float]] = []
    for move, change in zip(reversed(moves), reversed(changes), strict=True):
        inside, inside_change = within(move), within(change)
        if not everywhere and not _is_curved(inside, inside_change):
            continue
        curvature = float(inside @ inside_change)
        if not used:
            scale = curvature / float(inside_change @ inside_change)
        alpha = float(inside @ result) / curvature
        result = _plus(result, -alpha, inside_change)
        used.append((move, change, curvature, alpha))
    result = result * scale if solve is None else within(solve(whole(result)))
    for move, change, curvature, alpha in reversed(used):
        beta = float(within(change) @ result) / curvature
        result = _plus(result, alpha - beta, within(move))
    return whole(result)


def _plus(vector: Array, factor: float, other: Array) -> Array:
    """``vector + factor * other`` in the place of ``vector``, without an array for the product."""
    return np.asarray(blas.daxpy(other, vector, a=factor))
