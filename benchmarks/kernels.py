"""The kernels of rounds against loops compiled by numba, on one core: ``python -m benchmarks.kernels``.

Seconds are of the process's own CPU time, medians of alternating runs after both have warmed up. The compiled loops
know the logistic loss; a kernel of the package takes any. Writes ``benchmarks/results/kernels.md``.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block, gram
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.hessian import HessianKernel

Array = npt.NDArray[np.float64]

REPEATS = 9

compiled = numba.njit(error_model="numpy", fastmath=True)


@compiled
def logistic(label, z):
    """Value, derivative and curvature at one row."""
    margin = z if label == 0.0 else -z
    small = np.exp(-abs(margin))
    wrong = (1.0 if margin > 0.0 else small) / (1.0 + small)
    return max(margin, 0.0) + np.log1p(small), wrong if label == 0.0 else -wrong, small / (1.0 + small) ** 2


@compiled
def csr_gradient(values, indices, indptr, label, weight, coef):
    """Value and gradient sums: one pass over each row, while it is in the cache."""
    width = len(coef) - 1
    gradient, total = np.zeros(width + 1), 0.0
    for row in range(len(indptr) - 1):
        z = coef[width]
        for position in range(indptr[row], indptr[row + 1]):
            z += values[position] * coef[indices[position]]
        value, slope, _ = logistic(label[row], z)
        total += weight[row] * value
        slope *= weight[row]
        for position in range(indptr[row], indptr[row + 1]):
            gradient[indices[position]] += slope * values[position]
        gradient[width] += slope
    return total, gradient


@compiled
def dense_gradient(values, label, weight, coef):
    """The same over dense rows."""
    width = len(coef) - 1
    gradient, total = np.zeros(width + 1), 0.0
    for row in range(len(values)):
        z = coef[width]
        for j in range(width):
            z += values[row, j] * coef[j]
        value, slope, _ = logistic(label[row], z)
        total += weight[row] * value
        slope *= weight[row]
        for j in range(width):
            gradient[j] += slope * values[row, j]
        gradient[width] += slope
    return total, gradient


@compiled
def csr_hessian(values, indices, indptr, label, weight, coef):
    """Upper triangle of the Hessian sum, row by row of stored values only."""
    width = len(coef) - 1
    hessian = np.zeros((width + 1, width + 1))
    for row in range(len(indptr) - 1):
        first, last = indptr[row], indptr[row + 1]
        z = coef[width]
        for position in range(first, last):
            z += values[position] * coef[indices[position]]
        curvature = logistic(label[row], z)[2] * weight[row]
        for position in range(first, last):
            share = curvature * values[position]
            line = hessian[indices[position]]
            for other in range(position, last):
                line[indices[other]] += share * values[other]
            line[width] += share
        hessian[width, width] += curvature
    return hessian


@compiled
def dense_hessian(values, label, weight, coef):
    """The same over dense rows."""
    width = len(coef) - 1
    hessian = np.zeros((width + 1, width + 1))
    for row in range(len(values)):
        z = coef[width]
        for j in range(width):
            z += values[row, j] * coef[j]
        curvature = logistic(label[row], z)[2] * weight[row]
        for i in range(width):
            share = curvature * values[row, i]
            for j in range(i, width):
                hessian[i, j] += share * values[row, j]
            hessian[i, width] += share
        hessian[width, width] += curvature
    return hessian


def sparse_block(rows: int, columns: int, stored: int) -> Block:
    """Random CSR rows; column numbers follow a power law, as those of words and categories do."""
    random = np.random.default_rng(columns)
    drawn = (columns * random.random((rows, stored)) ** 2).astype(np.int32)
    drawn.sort(axis=1)
    fresh = np.ones(drawn.shape, dtype=bool)
    fresh[:, 1:] = drawn[:, 1:] > drawn[:, :-1]
    indptr = np.concatenate([[0], np.cumsum(fresh.sum(axis=1))])
    return _block(CsrFeatures(np.ones(indptr[-1]), drawn[fresh], indptr, columns), rows)


def dense_block(rows: int, columns: int) -> Block:
    """Random dense rows."""
    return _block(DenseFeatures(np.random.default_rng(0).normal(size=(rows, columns))), rows)


def _block(features: CsrFeatures | DenseFeatures, rows: int) -> Block:
    random = np.random.default_rng(rows)
    return Block(features, random.integers(0, 2, rows).astype(float), random.random(rows))


def compare(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(REPEATS + 1):
        for found, action in zip(seconds, (ours, theirs), strict=True):
            began = time.process_time()
            action()
            if run:
                found.append(time.process_time() - began)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def case(name: str, block: Block, second_order: bool) -> str:
    """A row of the table, once both agree."""
    features, layout = block.features, CoefLayout(block.features.num_features)
    coef = np.random.default_rng(1).normal(scale=0.1, size=layout.size)
    is_dense = isinstance(features, DenseFeatures)
    data = (features.values,) if is_dense else (features.values, features.indices, features.indptr)
    arguments = (*data, block.label, block.weight, coef)
    if second_order:
        kernel, loop = HessianKernel(LogisticLoss(), layout, coef), dense_hessian if is_dense else csr_hessian
        np.testing.assert_allclose(np.triu(kernel(block).hessian), np.triu(loop(*arguments)), rtol=1e-8, atol=1e-8)
    else:
        kernel = GradientKernel(LogisticLoss(), layout, coef[None, :])
        loop = dense_gradient if is_dense else csr_gradient
        np.testing.assert_allclose(kernel(block).gradient[0], loop(*arguments)[1], rtol=1e-8, atol=1e-8)
    ours, theirs = compare(lambda: kernel(block), lambda: loop(*arguments))
    line = f"| {name} | {1000 * ours:.1f} | {1000 * theirs:.1f} | {ours / theirs:.2f} |"
    print(line, flush=True)
    return line


def main() -> None:
    """Every case; prints and writes the table."""
    gram.WORTH_COMPILING = np.inf  # the package's own choice is what is examined here
    gradients = [
        ("value and gradient, dense 100,000 x 100", dense_block(100_000, 100)),
        ("value and gradient, CSR 32,000 x 123, 14 a row", sparse_block(32_000, 123, 14)),
        ("value and gradient, CSR 200,000 x 120, 30 a row", sparse_block(200_000, 120, 30)),
        ("value and gradient, CSR 12,500 x 90,000, 140 a row", sparse_block(12_500, 90_000, 140)),
        ("value and gradient, CSR 100,000 x 2,000,000, 30 a row", sparse_block(100_000, 2_000_000, 30)),
    ]
    hessians = [
        ("Hessian, dense 100,000 x 100", dense_block(100_000, 100)),
        ("Hessian, CSR 32,000 x 123, 14 a row", sparse_block(32_000, 123, 14)),
        ("Hessian, CSR 200,000 x 120, 30 a row", sparse_block(200_000, 120, 30)),
        ("Hessian, CSR 20,000 x 1,000, 30 a row", sparse_block(20_000, 1_000, 30)),
        ("Hessian, CSR 20,000 x 200, 80 a row", sparse_block(20_000, 200, 80)),
    ]
    lines = [case(*item, second_order=False) for item in gradients] + [
        case(*item, second_order=True) for item in hessians
    ]
    text = "# Kernels on one core: NumPy, BLAS and SciPy against numba\n\n"
    text += "Milliseconds of CPU time, medians (`python -m benchmarks.kernels`); a ratio above 1: numba is faster.\n\n"
    text += "| kernel | sparkgd | numba loop | ratio |\n|---|---|---|---|\n" + "\n".join(lines) + "\n"
    (Path(__file__).parent / "results" / "kernels.md").write_text(text)


if __name__ == "__main__":
    main()
