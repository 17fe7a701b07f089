"""Outer products of sparse rows, compiled. Imported only where they save seconds, because it needs numba."""

# mypy: disallow-untyped-defs=False, disallow-untyped-decorators=False, disallow-untyped-calls=False

from __future__ import annotations

import numba
import numpy as np
from numba import types

_VALUES = types.Array(types.float64, 1, "C", readonly=True)
_INDICES = types.Array(types.int32, 1, "C", readonly=True)
_INDPTR = types.Array(types.int64, 1, "C", readonly=True)
_SIGNATURE = types.void(_VALUES, _INDICES, _INDPTR, _VALUES, types.float64[:, ::1])


@numba.njit([_SIGNATURE], cache=True, nogil=True, error_model="numpy")
def add_outer_products(values, indices, indptr, weight, total):
    """Add ``weight * x1 x1^T`` of every row, ``x1 = [x, 1]``, to ``total``; one of the two entries of each pair."""
    last_column = total.shape[0] - 1
    for row in range(indptr.shape[0] - 1):
        first, stop, factor = indptr[row], indptr[row + 1], weight[row]
        for position in range(first, stop):
            share = factor * values[position]
            line = total[np.uint64(indices[position])]
            for other in range(position, stop):
                line[np.uint64(indices[other])] += share * values[other]
            line[last_column] += share
        total[last_column, last_column] += factor
