"""Linear changes of variables between a solver's coordinates u and the raw coef.

Data are never rescaled: a point is mapped to raw coefs before a round and the gradient is mapped back after it, so that
kernels and sparse data stay as they are. With ``x' = (x - center) * scale`` evaluated at ``(w', b')``:

    w = scale * w',   b = b' - center . w,   g'_w = scale * (g_w - center * g_b),   g'_b = g_b
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import linalg

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Entries

Array: TypeAlias = npt.NDArray[np.float64]


class Coordinates(Protocol):
    """An invertible linear map; every method works along the last axis of arrays with leading axes."""

    def to_raw(self, point: Array) -> Array:
        """Raw coef of a point."""
        ...

    def from_raw(self, coef: Array) -> Array:
        """Point of a raw coef; weights of constant columns are dropped."""
        ...

    def pull(self, gradient: Array) -> Array:
        """Gradient in u of a gradient in the raw coef: the transpose of `to_raw`."""
        ...

    @property
    def fixed(self) -> npt.NDArray[np.bool_]:
        """Which weights (num_linear * num_features) are held at zero."""
        ...

    def holding(self, columns: npt.NDArray[np.bool_]) -> Coordinates:
        """The map that holds the weights of further columns (p,) at zero."""
        ...

    def diagonal(self) -> Diagonal:
        """This map, for whoever needs each column to have a scale of its own.

        Raises
        ------
        IncompatibleError
            If it mixes columns.
        """
        ...

    def restricted(self, columns: npt.NDArray[np.intp]) -> Coordinates:
        """The map of the weights of some columns alone, and of the intercepts, where it mixes none."""
        ...

    @property
    def columns(self) -> npt.NDArray[np.intp] | None:
        """The features, ascending, that points have entries of, all other weights being zero; None for all."""
        ...

    @property
    def factor(self) -> Array | None:
        """``factor`` with ``coef = factor * u`` where the map is diagonal, but for centring, else None."""
        ...


@dataclass(frozen=True, eq=False)
class Diagonal:
    """One scale for each column, with centring.

    Parameters
    ----------
    layout : CoefLayout
    center : ndarray (p,)
        Subtracted from each column; zeros where no intercept is fitted, since the intercept absorbs it.
    scale : ndarray (p,)
        Multiplies each column; 0 fixes a weight at zero.
    intercept_scale : float
    """

    layout: CoefLayout
    center: Array
    scale: Array
    intercept_scale: float = 1.0

    def holding(self, columns: npt.NDArray[np.bool_]) -> Diagonal:
        return replace(self, scale=np.where(columns, 0.0, self.scale))

    def diagonal(self) -> Diagonal:
        return self

    @property
    def columns(self) -> None:
        return None

    def restricted(self, columns: npt.NDArray[np.intp]) -> Diagonal:
        layout = replace(self.layout, num_features=len(columns))
        return replace(self, layout=layout, center=self.center[columns], scale=self.scale[columns])

    def to_raw(self, point: Array) -> Array:
        weights = self.layout.weights(point) * self.scale
        intercepts = self.layout.intercepts(point) * self.intercept_scale - weights @ self.center
        return self.layout.pack(weights, intercepts)

    def from_raw(self, coef: Array) -> Array:
        weights = self.layout.weights(coef)
        kept = np.where(self.scale > 0.0, weights, 0.0)
        intercepts = (self.layout.intercepts(coef) + kept @ self.center) / self.intercept_scale
        return self.layout.pack(kept / np.where(self.scale > 0.0, self.scale, 1.0), intercepts)

    def pull(self, gradient: Array) -> Array:
        by_intercept = self.layout.intercepts(gradient)
        weights = (self.layout.weights(gradient) - by_intercept[..., None] * self.center) * self.scale
        return self.layout.pack(weights, by_intercept * self.intercept_scale)

    def unpull(self, gradient: Array) -> Array:
        """Gradient in the raw coef of a gradient in u: the inverse of `pull`, where no weight is fixed."""
        by_intercept = self.layout.intercepts(gradient) / self.intercept_scale
        weights = self.layout.weights(gradient) / self.scale + by_intercept[..., None] * self.center
        return self.layout.pack(weights, by_intercept)

    @property
    def fixed(self) -> npt.NDArray[np.bool_]:
        return np.tile(self.scale == 0.0, self.layout.num_linear)

    @property
    def factor(self) -> Array:
        layout = self.layout
        weights = np.tile(self.scale, (layout.num_linear, 1))
        return layout.pack(weights, np.full(layout.num_outputs, self.intercept_scale))


@dataclass(frozen=True, eq=False)
class Rotated:
    """`Diagonal` followed by a triangular map of the weights: ``w' = R^-1 v`` with ``R^T R`` the Hessian's model.

    In these coordinates the model's Hessian is the identity, so gradient methods see a well-conditioned problem.

    Parameters
    ----------
    scaled : Diagonal
    triangle : ndarray (p, p)
        Upper triangular R, shared by all outputs.
    """

    scaled: Diagonal
    triangle: Array

    @property
    def columns(self) -> None:
        return None

    def holding(self, columns: npt.NDArray[np.bool_]) -> Rotated:
        return replace(self, scaled=self.scaled.holding(columns))

    def diagonal(self) -> Diagonal:
        raise IncompatibleError("these coordinates mix columns; only single scaled columns can be told apart")

    def restricted(self, columns: npt.NDArray[np.intp]) -> Coordinates:
        return self.diagonal().restricted(columns)

    def to_raw(self, point: Array) -> Array:
        return self.scaled.to_raw(self._weights(point, lambda w: _solve(self.triangle, w, transposed=False)))

    def from_raw(self, coef: Array) -> Array:
        return self._weights(self.scaled.from_raw(coef), lambda w: w @ self.triangle.T)

    def pull(self, gradient: Array) -> Array:
        return self._weights(self.scaled.pull(gradient), lambda w: _solve(self.triangle, w, transposed=True))

    def _weights(self, coef: Array, change: Callable[[Array], Array]) -> Array:
        layout = self.scaled.layout
        return layout.pack(change(layout.weights(coef)), layout.intercepts(coef))

    @property
    def fixed(self) -> npt.NDArray[np.bool_]:
        return self.scaled.fixed

    @property
    def factor(self) -> None:
        return None


@dataclass(frozen=True, eq=False)
class Among:
    """`Diagonal` for points that are zero but for the weights of few columns: these, and the intercepts, are a point.

    Parameters
    ----------
    whole : Diagonal
    columns : ndarray of int
        Ascending.
    """

    whole: Diagonal
    columns: npt.NDArray[np.intp]

    @cached_property
    def entries(self) -> Entries:
        """Those of a whole point."""
        return self.whole.layout.restricted(self.columns)[1]

    def holding(self, columns: npt.NDArray[np.bool_]) -> Among:
        return replace(self, whole=self.whole.holding(columns))

    def diagonal(self) -> Diagonal:
        raise IncompatibleError("these coordinates leave out columns, each of which would need a scale of its own")

    def restricted(self, columns: npt.NDArray[np.intp]) -> Coordinates:
        return self.diagonal().restricted(columns)

    def to_raw(self, point: Array) -> Array:
        return self.whole.to_raw(self.entries.spread(point))

    def from_raw(self, coef: Array) -> Array:
        return self.entries.of(self.whole.from_raw(coef))

    def pull(self, gradient: Array) -> Array:
        return self.entries.of(self.whole.pull(gradient))

    @property
    def fixed(self) -> npt.NDArray[np.bool_]:
        held = np.ones(self.whole.layout.num_features, dtype=bool)
        held[self.columns] = False
        return self.whole.holding(held).fixed

    @property
    def factor(self) -> Array:
        return self.entries.of(self.whole.factor)


def _solve(triangle: Array, rows: Array, transposed: bool) -> Array:
    """``R^-1`` (or ``R^-T``) applied along the last axis."""
    flat = rows.reshape(-1, rows.shape[-1]).T
    solved = linalg.solve_triangular(triangle, flat, trans="T" if transposed else "N", check_finite=False)
    return np.asarray(solved.T.reshape(rows.shape))
