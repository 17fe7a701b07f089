"""The objective of one model: mean loss plus penalty, seen in a solver's coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Sums
from sparkgd.losses.base import Loss
from sparkgd.penalties import NoPenalty, OnWeights, Penalty
from sparkgd.problems.coordinates import Coordinates, Diagonal
from sparkgd.solvers.base import Certificate, Reply

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Objective:
    """``F(coef) = (1/W) sum_i w_i loss(y_i, x_i . weights + intercept + offset_i) + penalty(weights)``.

    Sums over rows come from an engine, undivided; this class divides once, adds the penalty's smooth part (on the raw
    weights) and maps everything to the solver's coordinates.

    Parameters
    ----------
    loss : Loss
    layout : CoefLayout
    penalty : Penalty
        Of the flat raw weights.
    coordinates : Coordinates
    held_out : int
        The fold whose rows this model does not train on, -1 for none.
    intercept_penalty : Penalty
        Of the intercepts: bounds, else none. The coordinates must not be centred then.
    """

    loss: Loss
    layout: CoefLayout
    penalty: Penalty
    coordinates: Coordinates
    held_out: int = -1
    intercept_penalty: Penalty = NoPenalty()

    @property
    def penalty_on_coef(self) -> OnWeights:
        """The penalty as a function of a raw coef."""
        return OnWeights(self.penalty, self.layout.num_weights, self.intercept_penalty)

    @property
    def solver_penalty(self) -> Penalty:
        """The rough part of the penalty as a function of a point in solver coordinates."""
        factor = self.coordinates.factor
        return self.penalty_on_coef if factor is None else self.penalty_on_coef.scaled(factor)

    def total(self, value: float, point: Array) -> float:
        """Objective at a point whose smooth part is ``value``."""
        return value + self.solver_penalty.rough_value(point)

    def point(self, coef: Array) -> Array:
        """Point of a raw coef, or the nearest one within bounds."""
        return self.solver_penalty.project(self.coordinates.from_raw(coef))

    def raw_coef(self, point: Array) -> Array:
        """Raw coef of a point, without the last bit by which rounding may carry it out of bounds."""
        return self.penalty_on_coef.project(self.coordinates.to_raw(point))

    def smoothed(self, width: float) -> Objective:
        """The same with the loss's kinks smoothed over ``width``."""
        return replace(self, loss=self.loss.smoothed(width))

    def gradient_reply(self, points: Array, sums: Sums, weight_sum: Array | float) -> Reply:
        """Reply to the gradient sums at ``points``; ``weight_sum`` is the (expected) weight of the rows summed."""
        assert sums.value is not None and sums.gradient is not None
        weight = np.broadcast_to(weight_sum, sums.value.shape)
        coefs = self.coordinates.to_raw(points)
        penalty = self.penalty_on_coef
        values = sums.value / weight + np.array([penalty.smooth_value(c) for c in coefs])
        gradients = sums.gradient / weight[:, None] + np.array([penalty.smooth_gradient(c) for c in coefs])
        return Reply(values, self.coordinates.pull(gradients))

    def hessian_reply(self, point: Array, sums: Sums, entries: npt.NDArray[np.intp] | None = None) -> Reply:
        """Reply to the Hessian sums at ``point``, of all entries or of some."""
        assert sums.hessian is not None and sums.weight is not None
        reply = self.gradient_reply(point[None, :], sums, sums.weight)
        coordinates, curvature = self.coordinates, self.penalty_on_coef.smooth_curvature(self.layout.size)
        if entries is not None:
            assert isinstance(coordinates, Diagonal), "only single columns can be left out"
            columns = self.layout.columns_of(entries)
            coordinates, known = coordinates.restricted(columns), self.layout.restricted(columns)[1]
            curvature = known.of(curvature)
        # The map is linear: pulling the rows, then the columns, gives T^T H T.
        hessian = coordinates.pull(coordinates.pull(sums.hessian / sums.weight[0] + np.diag(curvature)).T)
        if entries is not None:
            places = np.searchsorted(known.numbers, entries)
            hessian = hessian[np.ix_(places, places)]
        return Reply(reply.values, reply.gradients, hessian=0.5 * (hessian + hessian.T))

    def product_reply(self, point: Array, directions: Array, sums: Sums) -> Reply:
        """Reply to Hessian-product sums at ``point`` along ``directions`` (in solver coordinates)."""
        assert sums.product is not None and sums.weight is not None
        reply = self.gradient_reply(point[None, :], sums, sums.weight)
        products = self.products(directions, sums.product, float(sums.weight[0]))
        return Reply(reply.values, reply.gradients, products=products)

    def products(self, directions: Array, sums: Array, weight_sum: float) -> Array:
        """Hessian times ``directions`` (q, n), where ``sums`` (q, layout.size) are those of the loss's."""
        curvature = self.penalty_on_coef.smooth_curvature(self.layout.size)
        return self.coordinates.pull(sums / weight_sum + curvature * self.coordinates.to_raw(directions))

    def certificate_reply(self, points: Array, sums: Sums) -> Reply:
        """Reply to the dual sums at ``points``.

        Scaling the dual variables of a side by t in [0, 1] keeps them feasible, since conjugates of losses whose least
        value is zero have ``l*(t a) <= t l*(a)``. With dual slope g and height h the bound is
        ``h - g . w - penalty*(-g)`` (Fenchel's duality theorem; Rockafellar, 1970, section 31).
        """
        assert sums.value is not None and sums.weight is not None
        assert sums.dual_height is not None and sums.dual_slope is not None
        losses, heights = sums.value / sums.weight, sums.dual_height / sums.weight[:, None]
        slopes = sums.dual_slope / sums.weight[:, None, None]
        kept = _feasible_share(self.layout.intercepts(slopes)[..., 0])
        slope = self.layout.weights(np.einsum("ms,msn->mn", kept, slopes)).reshape(len(points), -1)
        slope[:, self.coordinates.fixed] = 0.0
        coefs = np.array([self.raw_coef(point) for point in points])
        weights, penalty = coefs[:, : self.layout.num_weights], self.penalty
        objectives = losses + np.array([penalty.value(w) for w in weights])
        bounds = [self._bound(*each) for each in zip(np.einsum("ms,ms->m", kept, heights), slope, weights, strict=True)]
        certificate = Certificate(objectives, np.array(bounds), losses - heights.sum(axis=1))
        return Reply(np.empty(0), np.empty((0, 0)), certificate=certificate)

    def _bound(self, height: float, slope: Array, weights: Array) -> float:
        """Dual objective of the largest feasible share of the dual variables, -inf if that is nothing."""
        share = self.penalty.share_within(-slope)
        if share == 0.0:
            return -np.inf
        return float(share * (height - slope @ weights) - self.penalty.conjugate(-share * slope))


def _feasible_share(sides: Array) -> Array:
    """Share of each side (m, 2), rising and falling, to keep so that the sides' sums cancel."""
    mass = np.abs(sides)
    return np.where(mass > 0.0, mass.min(axis=1, keepdims=True) / np.where(mass > 0.0, mass, 1.0), 1.0)
