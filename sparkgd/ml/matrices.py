"""Coefficients as the matrices of ``pyspark.ml.linalg``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import DenseMatrix, Matrix, SparseMatrix
from scipy import sparse

Array = npt.NDArray[np.float64]

ARRAY_HEADER, DOUBLE, INT = 12, 8, 4
"""Bytes of a JVM array without its entries, and of the entries, as MLlib counts them."""


def matrix_of(rows: Array) -> Matrix:
    """A matrix of a two-dimensional array: dense, or sparse by columns or by rows, whichever MLlib finds smallest."""
    nonzero = int(np.count_nonzero(rows))
    dense = DOUBLE * rows.size + ARRAY_HEADER
    by_columns, by_rows = (_sparse_bytes(nonzero, lines) for lines in (rows.shape[1], rows.shape[0]))
    if dense <= min(by_columns, by_rows):
        return DenseMatrix(rows.shape[0], rows.shape[1], rows.ravel(), isTransposed=True)
    packed = sparse.csc_array(rows) if by_columns <= by_rows else sparse.csr_array(rows)
    return SparseMatrix(
        rows.shape[0], rows.shape[1], packed.indptr, packed.indices, packed.data, isTransposed=by_columns > by_rows
    )


def _sparse_bytes(nonzero: int, lines: int) -> int:
    """Bytes of the three arrays of a sparse matrix with so many columns, or rows."""
    return (DOUBLE + INT) * nonzero + INT * (lines + 1) + 3 * ARRAY_HEADER
