"""Newton's method by Hessian-vector products: no matrix of coefs by coefs anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparkgd.questions import GradientQuestion, ProductQuestion, Question, Reply
from sparkgd.solvers.base import Array, Solver, State, Status, ended
from sparkgd.solvers.ladder import best_rung

RETRY_LADDER: Array = np.exp2(-np.arange(1, 9))
PIECES = 4
"""Directions into which a residual is split; a round costs little more for four products than for one."""

LOOSEST = 0.25
"""The residual of a Newton system, relative to the gradient, is brought down to this or less."""

DEPENDENT = 1e-9
"""Curvatures below this share of the largest are taken for rounding."""

CANCELLED = 1e-12
"""Share of the gradient below which a piece of its residual is taken for what rounding left of zero."""

MAX_PRODUCTS = 50
"""Rounds of products for one step."""


@dataclass(frozen=True)
class NewtonCgState(State):
    """Adds the step under construction.

    Attributes
    ----------
    step : ndarray (n,)
        Approximate solution d of ``H d = -g`` at ``point``.
    residual_vector : ndarray (n,)
        ``g + H d``.
    last, last_product : ndarray (n,)
        The last displacement of d and its product with H; zeros before the first.
    products : int
        Rounds of products spent on d; -1 when d is complete and ``point + d`` is to be tried.
    lengths : ndarray (m,)
        Multiples of d to be tried next.
    radius : float
        Of the trust region.
    first_residual : float
        Norm of the gradient at the start of the fit.
    """

    step: Array
    residual_vector: Array
    last: Array
    last_product: Array
    products: int
    lengths: Array
    radius: float
    first_residual: float


@dataclass(frozen=True)
class NewtonCg(Solver[NewtonCgState]):
    """Trust-region Newton with inexact conjugate gradients (Steihaug, 1983), for smooth f and many columns.

    A round of products minimises the quadratic model over the span of the pieces of its residual and the last
    displacement: with one piece that is a conjugate gradient step, with more an enlarged one (Grigori, Moufawad and
    Nataf, 2016) that needs fewer rounds. The round that tries the step also multiplies the Hessian there by the
    gradient that the model predicts, so the next system starts with its first step done. Systems are solved the more
    exactly the smaller the gradient is (Eisenstat and Walker, 1996). What a step lowers the model by is taken for the
    gap after it, which errs on the safe side by about the square of the accuracy of the step.
    """

    name: str = "newton-cg"

    def start(self, point: Array) -> NewtonCgState:
        zeros = np.zeros_like(point)
        return NewtonCgState(
            point, np.nan, zeros, -1, np.inf, np.nan, None,
            step=zeros, residual_vector=zeros, last=zeros, last_product=zeros, products=-1, lengths=np.ones(1),
            radius=np.inf, first_residual=np.inf,
        )  # fmt: skip

    def ask(self, state: NewtonCgState) -> Question:
        if state.products >= 0:
            return ProductQuestion(state.point, self._residual_pieces(state))
        trials = state.point + state.lengths[:, None] * state.step
        if state.iteration < 0 or len(trials) > 1:
            return GradientQuestion(trials)
        return ProductQuestion(trials[0], self._predicted(state))

    def tell(self, state: NewtonCgState, reply: Reply) -> NewtonCgState:
        if state.products >= 0:
            assert reply.products is not None
            return self._extended(state, self._residual_pieces(state), reply.products)
        if state.iteration < 0:
            first = replace(state, first_residual=float(np.linalg.norm(reply.gradients[0])))
            return self._moved(first, reply)
        norms = np.linalg.norm(reply.gradients, axis=1)
        promised = -state.lengths * float(state.gradient @ state.step)
        best = best_rung(state.value, state.residual, reply.values, norms, promised)
        if best < 0:
            return self._failed(state)
        if reply.products is None:
            length = state.lengths[best : best + 1]
            return replace(state, lengths=length, radius=float(length[0] * np.linalg.norm(state.step)))
        return self._extended(self._moved(state, reply), self._predicted(state), reply.products)

    @staticmethod
    def _residual_pieces(state: NewtonCgState) -> Array:
        """Directions for the step under construction."""
        return _pieces(state.residual_vector, state.residual)

    @staticmethod
    def _predicted(state: NewtonCgState) -> Array:
        """Directions for the point that is being tried: the gradient that the model predicts there, and the step."""
        gradient = state.gradient + state.lengths[0] * (state.residual_vector - state.gradient)
        return np.vstack([_pieces(gradient, state.residual), state.step])

    def _moved(self, state: NewtonCgState, reply: Reply) -> NewtonCgState:
        zeros, gradient = np.zeros_like(state.point), reply.gradients[0]
        norm = float(np.linalg.norm(gradient))
        return replace(
            state,
            point=state.point + state.lengths[0] * state.step,
            value=float(reply.values[0]),
            gradient=gradient,
            iteration=state.iteration + 1,
            residual=norm,
            gap=_promised(state) if state.iteration >= 0 else np.nan,
            step=zeros,
            residual_vector=gradient,
            last=zeros,
            last_product=zeros,
            products=0,
            lengths=np.ones(1),
            radius=self._radius(state, float(reply.values[0])),
        )

    @staticmethod
    def _radius(state: NewtonCgState, value: float) -> float:
        """Twice as large where the model was right to within half of what it promised."""
        return 2.0 * state.radius if state.value - value >= 0.5 * _promised(state) else state.radius

    def _extended(self, state: NewtonCgState, directions: Array, products: Array) -> NewtonCgState:
        """The step moved to the model's minimiser over the directions, or to the edge of the trust region."""
        basis = np.vstack([directions, state.last])
        images = np.vstack([products, state.last_product])
        scale = 1.0 / np.maximum(np.linalg.norm(basis, axis=1), np.finfo(float).tiny)
        basis, images = scale[:, None] * basis, scale[:, None] * images
        model = basis @ images.T
        # Directions may all but depend on each other: what rounding makes of that is left out.
        inverse = np.linalg.pinv(0.5 * (model + model.T), rcond=DEPENDENT, hermitian=True)
        weights = -inverse @ (basis @ state.residual_vector)
        move, image = weights @ basis, weights @ images
        kept = _share_within(state.step, move, state.radius)
        move, image = kept * move, kept * image
        residual = state.residual_vector + image
        target = min(LOOSEST, float(np.sqrt(state.residual / state.first_residual))) * state.residual
        products_used = state.products + 1
        complete = kept < 1.0 or products_used >= MAX_PRODUCTS or float(np.linalg.norm(residual)) <= target
        return replace(
            state,
            step=state.step + move,
            residual_vector=residual,
            last=move,
            last_product=image,
            products=-1 if complete else products_used,
        )

    def _failed(self, state: NewtonCgState) -> NewtonCgState:
        if state.lengths[-1] > 2.0**-16:
            return replace(state, lengths=state.lengths[-1] * RETRY_LADDER)
        return ended(state, Status.STALLED, "no step along the Newton direction lowers the objective")


def _promised(state: NewtonCgState) -> float:
    """What the step lowers the quadratic model by."""
    return -0.5 * float((state.gradient + state.residual_vector) @ state.step)


def _pieces(vector: Array, gradient_norm: float) -> Array:
    """The vector split in `PIECES` that sum to it, each zero where the others are not.

    A residual is orthogonal to all that it was minimised over: with few columns, that can be a whole piece. Rounding
    leaves noise there, and a direction of it would be as good as drawn at random, so it is left out.
    """
    pieces = np.zeros((PIECES, len(vector)))
    owner = np.arange(len(vector)) % PIECES
    pieces[owner, np.arange(len(vector))] = vector
    pieces[np.linalg.norm(pieces, axis=1) <= CANCELLED * gradient_norm] = 0.0
    return pieces


def _share_within(start: Array, move: Array, radius: float) -> float:
    """The largest share, at most 1, of ``move`` that keeps ``start + share * move`` within the radius."""
    if float(np.linalg.norm(start + move)) <= radius:
        return 1.0
    a, b, c = float(move @ move), float(start @ move), float(start @ start) - radius * radius
    return float((-b + np.sqrt(max(b * b - a * c, 0.0))) / a)
