"""Rows added up by groups."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[np.float64]


def sums_by_group(rows: Array, groups: npt.NDArray[np.intp], count: int, factors: Array | None = None) -> Array:
    """Sums (count, k) of the rows (n, k) of each group, multiplied by their ``factors`` (n,) where these are given."""
    numbers = np.arange(len(groups))
    factors = np.ones(len(groups)) if factors is None else factors
    return np.asarray(sparse.csr_array((factors, (groups, numbers)), shape=(count, len(groups))) @ rows)
