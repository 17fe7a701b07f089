"""The compiled loops of a local epoch. Imported only where an epoch runs, because it needs numba.

A loss enters as a function pointer, so that one compilation, cached on disk, serves every loss.

An epoch takes exactly the steps of SGD in scaled and centred columns ``x' = s (x - c)``, without ever forming them:
rows stay as sparse as they are. In raw weights (s the scale, c the centre of a column) it keeps ``w = v + a d + e m``:

- ``v`` takes the sparse steps of the rows;
- ``m = s^2 c`` is what centring adds to a row's step, ``e`` (one for each output) how much of it;
- ``d = s^2 * (dense gradient)``, of SVRG alone, is the drift that every row adds in full, its correction and the
  gradient of L2; the scalar ``a``, minus the sum of the steps, moves it for all columns at once;

and the intercept as ``b' = b + c . w``. Every ``stride`` rows these are folded into v, dense work that is small next to
that of the rows, and the drift is computed again. Without SVRG, L2 is a proximal step at each folding, for all rows
since the last one: ``v / (1 - a l2 s^2)``. SVRG cannot have that: its steps must cancel row by row at the optimum.

All that belongs to a column lies side by side in one row of ``table``: a step touches one cache line for each stored
value. Its entries are s^2, then v and (for SVRG) d and the anchor, K of each. What a row has the same in every epoch,
`measure` computes once.
"""

# mypy: disallow-untyped-defs=False, disallow-untyped-decorators=False, disallow-untyped-calls=False
# mypy: disallow-incomplete-defs=False

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types

SCALE2, FIRST = 0, 1

LINE = 8
"""Values of a cache line."""

BATCH = 64
"""Rows that are read ahead of their steps."""

ROW_DERIVATIVE = types.void(types.float64, types.float64, types.float64[::1], types.float64[::1])


compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
"""Contraction to fused multiply-add is the only liberty taken: results stay the same on every run of a machine."""


def compiled_derivative(derivative: Any) -> Any:
    """Compile a loss's ``row_derivative``."""
    return numba.njit([ROW_DERIVATIVE], cache=True, error_model="numpy")(derivative)


@compiled
def _steps_of_one(
    values, indices, indptr, rows, label, offset, weight, derivative, parameter, damping, step, table, state,
    measures, work, center_square, intercept_scale2, anchored, anchor_intercepts, anchor_intercept_gradient,
):  # fmt: skip
    """Steps of ``rows`` with one output; `_steps_of_many` is the same for K outputs."""
    bias, cv, cd, e, a = state[0, 0], state[1, 0], state[2, 0], state[3, 0], state[4, 0]
    z, change = work[0], work[1]
    dense = indices.shape[0] == 0
    for i in range(rows.shape[0]):
        row = rows[i]
        first, last = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
        xv, xd, xa = 0.0, 0.0, 0.0
        if anchored or dense:
            for position in range(first, last):
                j = position - first if dense else np.uint64(indices[position])
                x = np.float64(values[position])
                xv += x * table[j, FIRST]
                if anchored:
                    xd += x * table[j, FIRST + 1]
                    xa += x * table[j, FIRST + 2]
        else:
            # Two sums, because an addition waits for the one before it.
            other, gap = 0.0, (last - first) // np.uint64(2)
            middle = first + gap
            for position in range(first, middle):
                xv += values[position] * table[np.uint64(indices[position]), FIRST]
                other += values[position + gap] * table[np.uint64(indices[position + gap]), FIRST]
            if (last - first) % np.uint64(2):
                xv += values[last - np.uint64(1)] * table[np.uint64(indices[last - np.uint64(1)]), FIRST]
            xv += other
        shift = offset[row] if offset.shape[0] else 0.0
        xm = measures[row, 0]
        z[0] = xv + e * xm + bias - cv + shift
        if anchored:
            z[0] += a * (xd - cd)
        derivative(parameter, label[row], z, change)
        slope = change[0]
        share = step * weight[row]
        if anchored:
            z[0] = xa + anchor_intercepts[0] + shift
            derivative(parameter, label[row], z, change)
            slope -= change[0]
            bias -= intercept_scale2 * share * anchor_intercept_gradient[0]
        slope *= share / (1.0 + share * damping * measures[row, 1])
        e += slope
        cv -= slope * (xm + center_square)
        bias -= intercept_scale2 * slope
        a -= share
        if dense:
            for position in range(first, last):
                table[position - first, FIRST] -= slope * table[position - first, SCALE2] * values[position]
        else:
            for position in range(first, last):
                j = np.uint64(indices[position])
                table[j, FIRST] -= slope * table[j, SCALE2] * values[position]
    state[0, 0], state[1, 0], state[3, 0], state[4, 0] = bias, cv, e, a


@compiled
def _steps_of_many(
    values, indices, indptr, rows, label, offset, weight, derivative, parameter, damping, step, table, state,
    measures, work, center_square, intercept_scale2, anchored, anchor_intercepts, anchor_intercept_gradient,
):  # fmt: skip
    """Steps of ``rows`` with K outputs.

    ``state`` holds, one row each, b', ``c . v``, ``c . d``, e and (in its first column) a; ``work`` is scratch.
    """
    outputs = state.shape[1]
    bias, cv, cd, e, a = state[0], state[1], state[2], state[3], state[4, 0]
    z, change, anchor_change, dots = work[0], work[1], work[2], work[3:]
    dense = indices.shape[0] == 0
    for i in range(rows.shape[0]):
        row = rows[i]
        first, last = np.uint64(indptr[row]), np.uint64(indptr[row + 1])
        dots[:] = 0.0
        for position in range(first, last):
            j = position - first if dense else np.uint64(indices[position])
            x = np.float64(values[position])
            for part in range(3 if anchored else 1):
                for k in range(outputs):
                    dots[part, k] += x * table[j, FIRST + part * outputs + k]
        shift = offset[row] if offset.shape[0] else 0.0
        xm = measures[row, 0]
        for k in range(outputs):
            z[k] = dots[0, k] + a * (dots[1, k] - cd[k]) + e[k] * xm + bias[k] - cv[k] + shift
        derivative(parameter, label[row], z, change)
        share = step * weight[row]
        if anchored:
            for k in range(outputs):
                z[k] = dots[2, k] + anchor_intercepts[k] + shift
                bias[k] -= intercept_scale2 * share * anchor_intercept_gradient[k]
            derivative(parameter, label[row], z, anchor_change)
            for k in range(outputs):
                change[k] -= anchor_change[k]
        share /= 1.0 + share * damping * measures[row, 1]
        for k in range(outputs):
            change[k] *= share
            e[k] += change[k]
            cv[k] -= change[k] * (xm + center_square)
            bias[k] -= intercept_scale2 * change[k]
        a -= step * weight[row]
        for position in range(first, last):
            j = position - first if dense else np.uint64(indices[position])
            x = np.float64(values[position])
            x *= table[j, SCALE2]
            for k in range(outputs):
                table[j, FIRST + k] -= change[k] * x
    state[4, 0] = a


@compiled
def _touch(values, indices, indptr, rows, label, weight, measures):
    """Read a little of every cache line of ``rows``: what it returns means nothing, but has to be used.

    Rows in random order are cache misses, and a step waits for each of its own. These reads wait for nothing, so the
    processor has many of them under way at once: an epoch over data larger than the cache is three times faster.
    """
    total = 0.0
    for i in range(rows.shape[0]):
        row = rows[i]
        total += label[row] + weight[row] + measures[row, 0]
        for position in range(indptr[row], indptr[row + 1], LINE):
            total += values[position]
            if indices.shape[0]:
                total += indices[position]
    return total


@compiled
def _fold(table, center, l2, anchor_gradient, state, total, total_intercepts, share):
    """Fold everything dense into v, add ``share`` times the iterate to the totals, and compute the drift again."""
    outputs, anchored = state.shape[1], anchor_gradient.shape[0] > 0
    a = state[4, 0]
    for k in range(outputs):
        e, cv, cd = state[3, k], 0.0, 0.0
        for j in range(table.shape[0]):
            v = table[j, FIRST + k] + e * center[j] * table[j, SCALE2]
            if anchored:
                v += a * table[j, FIRST + outputs + k]
                d = (l2[j, k] * v + anchor_gradient[j, k]) * table[j, SCALE2]
                table[j, FIRST + outputs + k] = d
                cd += center[j] * d
            else:
                v /= 1.0 - a * l2[j, k] * table[j, SCALE2]
            table[j, FIRST + k] = v
            cv += center[j] * v
            if share:
                total[j, k] += share * v
        state[1, k], state[2, k], state[3, k] = cv, cd, 0.0
        total_intercepts[k] += share * (state[0, k] - cv)
    state[4, 0] = 0.0


def _readonly(kind: Any, dimensions: int = 1) -> Any:
    return types.Array(kind, dimensions, "C", readonly=True)


def _signature(values: Any) -> Any:
    vector, matrix = _readonly(types.float64), _readonly(types.float64, 2)
    return types.float64(
        _readonly(values), _readonly(types.int32), _readonly(types.int64), _readonly(types.int64),
        vector, vector, vector,
        types.FunctionType(ROW_DERIVATIVE), types.float64, types.float64,
        types.float64, types.float64, types.int64, types.int64,
        types.float64[:, ::1], types.float64[:, ::1], matrix,
        vector, types.float64, matrix, vector, matrix, vector,
        types.float64[:, ::1], types.float64[::1],
    )  # fmt: skip


@compiled
def measure(values, indices, indptr, weight, scale2, center, intercept_scale2, measures, squares):
    """What epochs need of each row and column; rows in order, so that memory streams.

    ``measures`` (n, 2) receives ``c . s^2 (x - c)`` and the squared length of the row, its 1 for the intercept
    included, in scaled and centred columns. To ``squares`` (p,) is added ``sum weight * x^2``.
    """
    dense = indices.shape[0] == 0
    center_square = 0.0
    for column in range(center.shape[0]):
        center_square += center[column] * center[column] * scale2[column]
    for row in range(indptr.shape[0] - 1):
        xm, square = 0.0, 0.0
        for position in range(indptr[row], indptr[row + 1]):
            j = np.uint64(position - indptr[row] if dense else indices[position])
            x = np.float64(values[position])
            xm += x * scale2[j] * center[j]
            square += x * x * scale2[j]
            squares[j] += weight[row] * x * x
        measures[row, 0] = xm - center_square
        measures[row, 1] = max(square - 2.0 * xm + center_square + intercept_scale2, 0.0)


@numba.njit([_signature(types.float64), _signature(types.float32)], cache=True, nogil=True, error_model="numpy")
def run_epoch(
    values, indices, indptr, rows, label, offset, weight,
    derivative, parameter, damping,
    first_step, last_step, stride, average_from,
    table, state, measures, center, intercept_scale2, l2, anchor_intercepts, anchor_gradient, anchor_intercept_gradient,
    total, total_intercepts,
):  # fmt: skip
    """One pass of steps over ``rows``, in their order.

    Parameters
    ----------
    values, indices, indptr : arrays
        The block as CSR; no ``indices`` stand for a dense block, whose rows hold every column.
    rows : ndarray (r,) of int64
        Which rows to take.
    label, offset, weight : ndarray (n,)
        ``offset`` may be empty; weights are relative to their mean.
    derivative, parameter, damping : function pointer, float, float
        Of the loss. A row's step is ``step / (1 + step * damping * |x'|^2)``, close to that of an implicit step, so
        that no row can overshoot.
    first_step, last_step : float
        Step sizes fall geometrically from one to the other.
    stride, average_from : int
        Rows between two foldings; the row from which on the iterates are averaged.
    table : ndarray (p, 1 + K or 1 + 3 K)
        See the module's docstring; v is the starting point.
    state : ndarray (5, K)
        See `_steps_of_many`; row 0 is b' at the starting point.
    measures : ndarray (n, 2)
        See `measure`.
    center, intercept_scale2, l2 : ndarray (p,), float, ndarray (p, K)
        The intercept's scale is 0 where none is fitted.
    anchor_intercepts, anchor_gradient, anchor_intercept_gradient : ndarray (K,), ndarray (p, K), ndarray (K,)
        Intercepts of the anchor, and mean gradient of the loss there, of the centred columns; empty for plain SGD.
    total, total_intercepts : ndarray (p, K), ndarray (K,)
        Receive the mean of the iterates, with raw intercepts.

    Returns
    -------
    float
        Of no meaning; see `_touch`.
    """
    anchored = anchor_gradient.shape[0] > 0
    center_square = 0.0
    for j in range(table.shape[0]):
        center_square += center[j] * center[j] * table[j, SCALE2]
    count = rows.shape[0]
    decay = (last_step / first_step) ** (stride / max(count, 1))
    step, averaged, touched = first_step, 0, 0.0
    work = np.empty((6, state.shape[1]))
    _fold(table, center, l2, anchor_gradient, state, total, total_intercepts, 0)
    for start in range(0, count, stride):
        stop = min(start + stride, count)
        for batch in range(start, stop, BATCH):
            picked = rows[batch : min(batch + BATCH, stop)]
            touched += _touch(values, indices, indptr, picked, label, weight, measures)
            arguments = (
                values, indices, indptr, picked, label, offset, weight, derivative, parameter, damping, step,
                table, state, measures, work, center_square, intercept_scale2, anchored, anchor_intercepts,
                anchor_intercept_gradient,
            )  # fmt: skip
            if state.shape[1] == 1:
                _steps_of_one(*arguments)
            else:
                _steps_of_many(*arguments)
        share = stop - start if start >= average_from else 0
        averaged += share
        _fold(table, center, l2, anchor_gradient, state, total, total_intercepts, share)
        step *= decay
    total /= averaged
    total_intercepts /= averaged
    return touched
