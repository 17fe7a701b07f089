"""The mergeable result of scanning rows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Weighted sums over rows, for one or more points; undivided, so that they add.

    A field that no row filled is None, the neutral element of ``+``; ``Sums()`` is the zero. Shapes: m points, s coefs.

    Attributes
    ----------
    value : ndarray (m,)
        Sum of ``weight * loss``.
    gradient : ndarray (m, s)
        Sum of ``weight * d loss / d coef``.
    weight : ndarray (m,)
        Sum of the weights of the rows that were used.
    held_out_value, held_out_weight : ndarray (m,)
        The same for the rows that a point holds out.
    hessian : ndarray (s, s)
        Sum of ``weight * d2 loss / d coef2`` at the one point.
    product : ndarray (q, s)
        Hessian sum times each of q directions.
    dual_height : ndarray (m, 2)
        Sum of ``weight * (a z - l*(y, a))`` over rows with dual variable a > 0, and over rows with a < 0.
    dual_slope : ndarray (m, 2, s)
        Sum of ``weight * a * d z / d coef`` over the same rows.
    move, information : ndarray (s,)
        Sum of ``information * move`` over the partitions' local epochs, and of ``information``: how much a partition
        knows of each entry of the coef (see `sparkgd.kernels.local`).
    """

    value: Array | None = None
    gradient: Array | None = None
    weight: Array | None = None
    held_out_value: Array | None = None
    held_out_weight: Array | None = None
    hessian: Array | None = None
    product: Array | None = None
    dual_height: Array | None = None
    dual_slope: Array | None = None
    move: Array | None = None
    information: Array | None = None

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(_add(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


def _add(left: Array | None, right: Array | None) -> Array | None:
    if left is None:
        return right
    return left if right is None else left + right
