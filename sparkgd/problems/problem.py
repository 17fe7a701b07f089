"""The problem of one model: mean loss plus penalty, seen in a solver's coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.penalties import NoPenalty, OnWeights, Penalty
from sparkgd.problems.coordinates import Among, Coordinates
from sparkgd.problems.past import NoPast, Past

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """``F(coef) = (1/W) sum_i w_i loss(y_i, x_i . weights + intercept + offset_i) + penalty(weights)``.

    Sums over rows come from an engine, undivided; questions divide them once, add the penalty's smooth part (on the raw
    weights) and map everything to the solver's coordinates.

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
    weight_sum : float
        Of the rows trained on.
    past : Past
        Rows that the model has learned from before: they are in F as well, and in ``weight_sum``.
    """

    loss: Loss
    layout: CoefLayout
    penalty: Penalty
    coordinates: Coordinates
    held_out: int = -1
    intercept_penalty: Penalty = NoPenalty()
    weight_sum: float = np.nan
    past: Past = NoPast()

    @property
    def penalty_on_coef(self) -> OnWeights:
        """The penalty as a function of a raw coef."""
        return OnWeights(self.penalty, self.layout.num_weights, self.intercept_penalty)

    @property
    def solver_penalty(self) -> Penalty:
        """The rough part of the penalty as a function of a point in solver coordinates."""
        factor, columns, penalty = self.coordinates.factor, self.coordinates.columns, self.penalty_on_coef
        if columns is not None:
            penalty = penalty.restricted(self.layout.restricted(columns)[1].numbers.astype(np.intp))
        return penalty if factor is None else penalty.scaled(factor)

    def total(self, value: float, point: Array) -> float:
        """Objective at a point whose smooth part is ``value``."""
        return value + self.solver_penalty.rough_value(point)

    def point(self, coef: Array) -> Array:
        """Point of a raw coef, or the nearest one within bounds."""
        return self.solver_penalty.project(self.coordinates.from_raw(coef))

    def raw_coef(self, point: Array) -> Array:
        """Raw coef of a point, without the last bit by which rounding may carry it out of bounds."""
        return self.penalty_on_coef.project(self.coordinates.to_raw(point))

    def loss_alone(self, loss: Loss) -> Problem:
        """Another loss in place of this one, no penalty and no past."""
        return replace(self, loss=loss, penalty=NoPenalty(), intercept_penalty=NoPenalty(), past=NoPast())

    def among(self, columns: npt.NDArray[np.intp]) -> Problem:
        """The same where only the weights of these features, ascending, may be other than zero."""
        return replace(self, coordinates=Among(self.coordinates.diagonal(), columns))

    def smoothed(self, width: float) -> Problem:
        """The same with the loss's kinks smoothed over ``width``."""
        return replace(self, loss=self.loss.smoothed(width))
