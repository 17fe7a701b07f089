"""Sums of ``weight * x1 x1^T`` over rows, ``x1 = [x, 1]``: by BLAS from dense rows, or from stored values alone."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.block import Block
from sparkgd.kernels.features import CsrFeatures

Array = npt.NDArray[np.float64]

WORTH_COMPILING = 1.25e9
"""Products that a pass over a block must save before numba is loaded: a tenth of a second of BLAS. Loading takes a
third of a second, once in a process, and who asks for one Hessian asks for several.
"""

SPARSE_COST = 5.0
"""Time of a product of two stored values, relative to that of a product in BLAS (benchmarks/kernels.py)."""


class Grams(Protocol):
    """Accumulates several sums, each with weights of its own."""

    def add(self, chunk: Block, weights: Array) -> None:
        """Add a chunk; ``weights`` of shape (rows, q)."""
        ...

    def totals(self) -> Array:
        """The sums, of shape (q, p + 1, p + 1)."""
        ...


def add_kronecker_products(total: Array, design: Array, amounts: Array) -> None:
    """Add ``sum_i A_i x u_i u_i^T`` (Kronecker's product) to ``total`` (m, q, m, q), the A symmetric.

    Parameters
    ----------
    total : ndarray (m, q, m, q)
    design : ndarray (n, q)
        The rows u.
    amounts : ndarray (n, m, m)
        The matrices A.
    """
    for k in range(len(total)):
        for other in range(k + 1):
            product = design.T @ (design * amounts[:, k, other, None])
            total[k, :, other] += product
            if other < k:
                total[other, :, k] += product


def grams_of(block: Block, count: int, columns: int | None = None) -> Grams:
    """The faster way to ``count`` sums over a block, or over so many of its columns."""
    features = block.features
    columns = features.num_features if columns is None else columns
    if isinstance(features, CsrFeatures):
        stored = np.minimum(np.diff(features.indptr), columns)
        stored_pairs = 0.5 * float(np.square(stored, dtype=np.float64).sum())
        saved = count * (0.5 * block.rows * columns * columns - SPARSE_COST * stored_pairs)
        compiled = _compiled() if saved > WORTH_COMPILING else None
        if compiled is not None:
            return SparseGrams(compiled, count, columns)
    return DenseGrams(count, columns)


@cache
def _compiled() -> Any:
    """The compiled loop; None where numba is missing, or cannot keep what it compiles."""
    try:
        from sparkgd.kernels.compiled_outer import add_outer_products
    except (ImportError, RuntimeError):
        return None
    return add_outer_products


class DenseGrams:
    """Chunks are made dense and multiplied by BLAS."""

    def __init__(self, count: int, columns: int) -> None:
        self._totals = np.zeros((count, columns + 1, columns + 1))

    def add(self, chunk: Block, weights: Array) -> None:
        start = 0
        for part in chunk.dense_chunks():
            values = part.features.dense()
            for total, weight in zip(self._totals, weights[start : start + part.rows].T, strict=True):
                total += _weighted_gram(values, weight)
            start += part.rows

    def totals(self) -> Array:
        return self._totals


class SparseGrams:
    """Stored values are multiplied by a compiled loop."""

    def __init__(self, compiled: Any, count: int, columns: int) -> None:
        self._compiled = compiled
        self._halves = np.zeros((count, columns + 1, columns + 1))

    def add(self, chunk: Block, weights: Array) -> None:
        features = chunk.features
        assert isinstance(features, CsrFeatures), "grams_of chooses this for CSR blocks"
        for half, weight in zip(self._halves, weights.T, strict=True):
            self._compiled(features.values, features.indices, features.indptr, np.ascontiguousarray(weight), half)

    def totals(self) -> Array:
        diagonal = np.einsum("qii->qi", self._halves).copy()
        totals = self._halves + np.swapaxes(self._halves, 1, 2)
        np.einsum("qii->qi", totals)[:] = diagonal
        return totals


def _weighted_gram(values: Array, weight: Array) -> Array:
    """``X1^T diag(weight) X1``, X1 being ``values`` and a column of ones.

    Weights of one sign need half the work, since BLAS then forms one triangle.
    """
    if weight.min(initial=0.0) < 0.0:
        design = _scaled(values, np.ones(len(weight)))
        return np.asarray((design.T * weight) @ design)
    design = _scaled(values, np.sqrt(weight))
    return np.asarray(design.T @ design)


def _scaled(values: Array, factor: Array) -> Array:
    """Rows of X1 times a factor each."""
    design = np.empty((len(values), values.shape[1] + 1))
    np.multiply(values, factor[:, None], out=design[:, :-1])
    design[:, -1] = factor
    return design
