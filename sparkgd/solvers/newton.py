"""Newton's method with the Hessian summed in the round, and kept while it serves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.penalties import NoPenalty, Penalty
from sparkgd.questions import GradientQuestion, HessianQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung
from sparkgd.solvers.quadratic import model_step
from sparkgd.solvers.residual import prox_residual, prox_residuals, total_values
from sparkgd.solvers.scales import scaled_step
from sparkgd.solvers.working_set import working_set

RETRY_LADDER = 2.0 ** -np.arange(1, 9)

KEEPING = 0.6
"""Ratio of successive residuals up to which the next round does without a new Hessian, for a smooth loss."""

KEEPING_IN_COMPANY = 0.9
"""The same where gradients of many models are one product, and a Hessian is as long a scan for each."""

WHOLE = 1.001
"""Ratio of the residuals of all entries and of those that may move up to which the model stands for the objective."""

LEAST_CAUTION = 1e-3
"""Share of the curvature of straight parts below which they are taken to be straight."""


@dataclass(frozen=True)
class NewtonState(State):
    """Adds the model of the objective and the step that it leads to.

    Attributes
    ----------
    direction : ndarray (n,)
        From the point to the minimiser of the model.
    promised : float
        Decrease of the objective that a unit step promises to first order.
    steps : ndarray (m,)
        To try next; a single 0 sums the Hessian where the state stands.
    active : ndarray (a,) of int
        The entries that may move.
    hessian : ndarray (a, a)
        The last one that was summed, corrected by the gradients seen since; (0, 0) where none is known.
    contraction : float
        Ratio of the last two residuals: what decides whether ``hessian`` is kept.
    caution : float
        Share of a curvature that straight parts of the loss have in ``hessian``, from 0 to 1.
    """

    direction: Array
    promised: float
    steps: Array
    active: npt.NDArray[np.intp]
    hessian: Array
    contraction: float
    caution: float = 0.0


@dataclass(frozen=True)
class Newton(Solver[NewtonState]):
    """``u <- u + step * d`` with d the minimiser of ``grad f(u) . d + d^T H(u) d / 2 + r(u + d)``, for few columns.

    Without rough penalty this is Newton's method, with L1 or bounds proximal Newton (Lee, Sun and Saunders, 2014).
    A round sums value, gradient and Hessian at the full step, so an iteration is one round; only when the full step
    fails are eight shorter ones tried, without Hessian, in one more. The decrease of the model estimates the gap.

    A Hessian costs many times a gradient. One with which the residual falls to 0.6 is kept for the next
    iteration, corrected by the BFGS formula; once a step fails, or gains too little, a new one is summed.

    With many columns, the Hessian is that of a working set (see `sparkgd.solvers.working_set`): the columns that the
    last gradient calls for. All others stay at their kinks for an iteration.

    Where most rows lie on straight parts of the loss, the few others make a model that goes much too far. Once it has
    failed, the straight parts are given a curvature with which it goes no further than the objective does, and half as
    much in each iteration from then on. A scale makes such failures the rule, so there this comes before shorter steps.

    Parameters
    ----------
    penalty : Penalty
        Rough part, in solver coordinates.
    is_quadratic : bool
        Whether the Hessian is the same everywhere.
    keeping : float
        Ratio of successive residuals up to which the Hessian is kept; -1 never keeps it.
    sums_anew : bool
        Whether a Hessian costs so little that a restart does better with one of its own than with one that is nearly
        right.
    largest : int
        Entries of a point up to which, or without kinks, the whole Hessian is summed; about the most of a working set.
    scales : int
        How many entries of a point, the last ones, are scales (see `sparkgd.solvers.scales`).
    can_be_curved : bool
        Whether the loss has straight parts that can be given a curvature.
    """

    penalty: Penalty = NoPenalty()
    is_quadratic: bool = False
    keeping: float = KEEPING
    sums_anew: bool = False
    largest: int = 1024
    scales: int = 0
    can_be_curved: bool = False
    name: str = "newton"
    # Where a few rows were learned by heart, others lie far from the curved part of their loss: full steps fail there.
    restart_excess: float = 0.05

    def start(self, point: Array) -> NewtonState:
        zeros = np.zeros_like(point)
        return NewtonState(
            point, np.nan, zeros, -1, np.inf, np.nan, None, direction=zeros, promised=0.0, steps=np.ones(1),
            active=np.arange(0), hessian=np.zeros((0, 0)), contraction=0.0 if self.is_quadratic else np.inf,
        )  # fmt: skip

    def restart(self, state: NewtonState) -> NewtonState:
        """Keeps the Hessian, or sums a new one at once and keeps that."""
        start = self.start(state.point)
        if self.sums_anew:
            return replace(start, contraction=0.0)
        # One that has not been stepped with is of this very point.
        contraction = state.contraction if np.isfinite(state.contraction) else 0.0
        return replace(start, active=state.active, hessian=state.hessian, contraction=contraction)

    def stiffened(self, state: NewtonState, curvature: Array) -> NewtonState:
        """The state with a Hessian of so much more."""
        if not len(state.hessian):
            return state
        return replace(state, hessian=state.hessian + curvature[np.ix_(state.active, state.active)])

    def ask(self, state: NewtonState) -> Question:
        trials = self._trials(state)
        if len(trials) > 1 or self._keeps_hessian(state):
            return GradientQuestion(trials)
        return HessianQuestion(trials[0], self._working_set(state, trials[0]), _next_caution(state))

    def tell(self, state: NewtonState, reply: Reply) -> NewtonState:
        if state.iteration < 0:
            first = replace(self._moved(state, reply), iteration=0, contraction=state.contraction)
            return _without_hessian(first) if self._lags(first) else first
        if reply.hessian is not None and not state.steps.any():
            return replace(self._moved(state, reply), iteration=state.iteration)
        best = self._best(state, reply)
        if best < 0:
            return self._failed(state)
        if reply.hessian is not None:
            return self._moved(state, reply)
        if self._keeps_hessian(state):
            move, change = state.direction[state.active], (reply.gradients[0] - state.gradient)[state.active]
            return self._moved(replace(state, hessian=corrected(state.hessian, move, change)), reply)
        return replace(state, steps=state.steps[best : best + 1])

    def _trials(self, state: NewtonState) -> Array:
        """The points (m, n) that the steps lead to."""
        trials = state.point + state.steps[:, None] * state.direction
        return trials if self.penalty.is_smooth else np.array([self.penalty.project(trial) for trial in trials])

    def _best(self, state: NewtonState, reply: Reply) -> int:
        trials = self._trials(state)
        return best_rung(
            state.value + self.penalty.rough_value(state.point),
            state.residual,
            total_values(self.penalty, trials, reply.values),
            prox_residuals(self.penalty, trials, reply.gradients),
            state.steps * state.promised,
        )

    def _moved(self, state: NewtonState, reply: Reply) -> NewtonState:
        point, gradient = self._trials(state)[0], reply.gradients[0]
        active, hessian, caution = state.active, state.hessian, state.caution
        if reply.hessian is not None:
            hessian, working_set = reply.hessian, self._working_set(state, point)
            caution = _next_caution(state)
            active = np.arange(len(point)) if working_set is None else working_set
        direction, is_free = self._direction(point, gradient, active, hessian)
        # Rounding must not carry the sum beyond a wall that the minimiser is at: it would seem to cost infinitely much.
        end = self.penalty.project(point + direction)
        rough = self.penalty.rough_value(point) - self.penalty.rough_value(end)
        promised = rough - float(gradient @ direction)
        residual = prox_residual(self.penalty, point, gradient)
        inside = prox_residual(self.penalty.restricted(active), point[active], gradient[active])
        is_whole = residual <= WHOLE * inside
        gap = promised - 0.5 * float(direction[active] @ hessian @ direction[active])
        if self.scales and gap < 0.0:
            is_free = False  # a tiny scale's Hessian is too large for what rounding leaves of the model
        return replace(
            state,
            point=point,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=residual,
            gap=gap if is_whole and is_free else np.nan,
            direction=direction,
            promised=promised,
            steps=np.ones(1),
            active=active,
            hessian=hessian,
            contraction=residual / state.residual if state.residual > 0.0 and is_whole else np.inf,
            caution=caution,
        )

    def _direction(
        self, point: Array, gradient: Array, active: npt.NDArray[np.intp], hessian: Array
    ) -> tuple[Array, bool]:
        """From a point to the minimiser of the model, and whether no scale was kept from moving."""
        direction, penalty, is_free = np.zeros_like(point), self.penalty.restricted(active), True
        if self.scales:
            is_scale = active >= len(point) - self.scales
            step, is_free = scaled_step(penalty, point[active], gradient[active], hessian, is_scale)
        else:
            step = model_step(penalty, point[active], gradient[active], hessian)
        direction[active] = step
        return direction, is_free

    def _keeps_hessian(self, state: NewtonState) -> bool:
        return len(state.hessian) > 0 and state.contraction <= self.keeping

    def _failed(self, state: NewtonState) -> NewtonState:
        if self._keeps_hessian(state) or self._lags(state):  # it may be to blame
            return _without_hessian(state)
        is_new = len(state.steps) == 1 and state.steps[0] == 1.0
        if self.can_be_curved and state.caution < 1.0 and ((self.scales and is_new) or state.steps[-1] <= 2.0**-16):
            return replace(_without_hessian(state), caution=1.0)
        if state.steps[-1] > 2.0**-16:
            return replace(state, steps=state.steps[-1] * RETRY_LADDER, contraction=np.inf)
        return ended(state, Status.STALLED, "no step along the Newton direction lowers the objective")

    def _working_set(self, state: NewtonState, point: Array) -> npt.NDArray[np.intp] | None:
        """What the Hessian at ``point`` is to be about, as far as the state's gradient tells; None for everything."""
        if self.penalty.is_smooth or len(point) <= self.largest:
            return None
        return working_set(self.penalty, point, state.gradient, self.largest)

    def _lags(self, state: NewtonState) -> bool:
        """Whether the gradient calls for other entries than those that may move."""
        wanted = self._working_set(state, state.point)
        return wanted is not None and not np.array_equal(wanted, state.active)


def _next_caution(state: NewtonState) -> float:
    """The caution of the Hessian that is asked for: less after each step."""
    if not state.steps.any():
        return state.caution
    return 0.5 * state.caution if state.caution > LEAST_CAUTION else 0.0


def _without_hessian(state: NewtonState) -> NewtonState:
    """The state that asks for the Hessian where it stands."""
    return replace(state, steps=np.zeros(1), contraction=np.inf)


def corrected(hessian: Array, move: Array, change: Array) -> Array:
    """The BFGS update: ``hessian`` changed so that it maps ``move`` to ``change``, positive definite if it was.

    Where the pair shows no curvature it stays as it is.
    """
    product, curvature = hessian @ move, float(move @ change)
    before = float(move @ product)
    if not (curvature > 0.0 and before > 0.0):
        return hessian
    return np.asarray(hessian + np.outer(change, change / curvature) - np.outer(product, product / before))
