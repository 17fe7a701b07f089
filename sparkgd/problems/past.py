"""Rows that a model has learned from before, and that are gone: what is left of their loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Sums
from sparkgd.problems.coordinates import Coordinates, Diagonal

Array: TypeAlias = npt.NDArray[np.float64]


class Past:
    """What rows of before add to sums over rows of now; by default there were none.

    Attributes
    ----------
    weight : float
        Of the rows.
    """

    weight: float = 0.0

    def added(self, sums: Sums, coefs: Array) -> Sums:
        """Values and gradients at raw coefs (m, size), those of the past included."""
        return sums

    def curved(
        self, hessian: Array, coordinates: Coordinates, weight_sum: float, entries: npt.NDArray[np.integer] | None
    ) -> Array:
        """A mean Hessian in ``coordinates``, that of the past included; of some ``entries`` alone, if given.

        ``weight_sum`` is what the rows of both weigh.
        """
        return hessian


class NoPast(Past):
    """No rows."""


@dataclass(frozen=True, eq=False)
class TangentPast(Past):
    """The loss sum of the past by the quadratic that touches it at a coef.

    With u the point of a coef in ``coordinates``, and u0 that of ``coef``::

        sum_i w_i loss_i  ~  value + gradient . (u - u0) + (u - u0)^T hessian (u - u0) / 2

    For losses that are quadratic themselves this is an equation. For others it is Laplace's approximation: the past is
    a Gaussian prior of which ``hessian`` is the precision (Spiegelhalter and Lauritzen, 1990).

    Parameters
    ----------
    coordinates : Diagonal
        Of columns that are centred and scaled, so that nothing cancels; no weight is fixed.
    coef : ndarray (size,)
        Raw.
    value : float
    gradient : ndarray (size,)
    hessian : ndarray (size, size)
    weight : float
    """

    coordinates: Diagonal
    coef: Array
    value: float
    gradient: Array
    hessian: Array
    weight: float

    def added(self, sums: Sums, coefs: Array) -> Sums:
        """See `Past`."""
        assert sums.value is not None and sums.gradient is not None
        moves = self.coordinates.from_raw(coefs - self.coef)
        changes = moves @ self.hessian
        values = self.value + moves @ self.gradient + 0.5 * np.einsum("mn,mn->m", moves, changes)
        gradients = self.coordinates.unpull(self.gradient + changes)
        return replace(sums, value=sums.value + values, gradient=sums.gradient + gradients)

    def curved(
        self, hessian: Array, coordinates: Coordinates, weight_sum: float, entries: npt.NDArray[np.integer] | None
    ) -> Array:
        """See `Past`."""
        rows = coordinates.pull(self.coordinates.unpull(self.hessian))
        own = coordinates.pull(self.coordinates.unpull(rows.T)) / weight_sum
        return np.asarray(hessian + (own if entries is None else own[np.ix_(entries, entries)]))

    def at(self, coef: Array) -> TangentPast:
        """The same quadratic, told from another coef."""
        move = self.coordinates.from_raw(coef - self.coef)
        change = self.hessian @ move
        value = self.value + float(move @ self.gradient + 0.5 * move @ change)
        return replace(self, coef=coef, value=value, gradient=self.gradient + change)

    def __add__(self, other: TangentPast) -> TangentPast:
        """That of all rows; both are told from the same coef in the same coordinates."""
        return replace(
            self,
            value=self.value + other.value,
            gradient=self.gradient + other.gradient,
            hessian=self.hessian + other.hessian,
            weight=self.weight + other.weight,
        )

    def times(self, factor: float) -> TangentPast:
        """The same if every row weighed ``factor`` times as much."""
        return replace(
            self,
            value=self.value * factor,
            gradient=self.gradient * factor,
            hessian=self.hessian * factor,
            weight=self.weight * factor,
        )

    @property
    def precision(self) -> Array:
        """The Hessian (size, size) by the raw coef."""
        return np.asarray(self.coordinates.unpull(self.coordinates.unpull(self.hessian).T))
