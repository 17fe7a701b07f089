"""The three algorithms that the project started from, iterate by iterate.

On the squared loss, theta starting at zeros, no intercept, m rows:

- GD: ``theta -= rate * X^T (X theta - y) / m``;
- SGD: one row i, ``theta -= rate * x_i (x_i theta - y_i) / m``: the step of the usual SGD is ``rate / m``;
- DGD: rows in contiguous parts, one a node; each computes its part of the gradient and the parts are summed. As first
  written, every node summed its gradient to a single number, which is another algorithm.
"""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.losses import SquaredLoss
from sparkgd.solvers.sampling import UniformRows
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.stopping import Stopping
from tests.support.local import LocalFit, block_of

RNG = np.random.default_rng(4)
M, N, RATE, ITERATIONS = 150, 4, 0.05, 100
X = RNG.normal(size=(M, N)) + 0.5
X[:, 3] = 1.0  # a constant column is an ordinary column for these algorithms
Y = X @ np.array([1.0, -2.0, 0.5, 3.0]) + 0.1 * RNG.normal(size=M)

PARTITIONS = {"1": [], "2": [75], "7": [10, 40, 55, 90, 91, 130]}


def gradient_descent(rate: float = RATE, iterations: int = ITERATIONS) -> np.ndarray:
    theta = np.zeros(N)
    for _ in range(iterations):
        theta = theta - rate * X.T @ (X @ theta - Y) / M
    return theta


def stochastic(rows: list[int], rate: float) -> np.ndarray:
    theta = np.zeros(N)
    for i in rows:
        theta = theta - rate * X[i] * (X[i] @ theta - Y[i]) / M
    return theta


def distributed(stops: list[int], collapse: bool) -> np.ndarray:
    """DGD; ``collapse`` is the founding slip of summing each node's gradient to one number."""
    theta = np.zeros(N)
    for _ in range(ITERATIONS):
        parts = [x.T @ (x @ theta - y) / M for x, y in zip(np.split(X, stops), np.split(Y, stops), strict=True)]
        theta = theta - RATE * sum(part.sum() if collapse else part for part in parts)
    return theta


def fit(solver: SolverSettings, stops: list[int], iterations: int = ITERATIONS) -> np.ndarray:
    settings = LocalFit(SquaredLoss(), solver, fit_intercept=False, stopping=Stopping(iterations, tol=0.0))
    return settings.run(block_of(X, Y), stops).coef


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


@pytest.mark.parametrize("stops", PARTITIONS.values(), ids=PARTITIONS.keys())
def test_gd_gives_the_founding_iterates(stops):
    gd = SolverSettings("gd", step_size=RATE, schedule="constant")
    for iterations in (1, 2, 10, ITERATIONS):
        found = fit(gd, stops, iterations)
        assert relative_error(found, gradient_descent(iterations=iterations)) < 1e-12


@pytest.mark.parametrize("stops", PARTITIONS.values(), ids=PARTITIONS.keys())
def test_sgd_gives_the_founding_iterates_for_the_rows_drawn(stops):
    sgd = SolverSettings("sgd", step_size=RATE, schedule="constant", batch_size=1, seed=11)
    drawn = [int(UniformRows(11, step, 1, M).drawn()[0]) for step in range(1, ITERATIONS + 1)]
    assert len(set(drawn)) > 50
    assert relative_error(fit(sgd, stops), stochastic(drawn, rate=RATE * M)) < 1e-12


@pytest.mark.parametrize("stops", [PARTITIONS["2"], PARTITIONS["7"]], ids=["2", "7"])
def test_distributed_gradient_descent_is_gradient_descent_done_right(stops):
    assert relative_error(distributed(stops, collapse=False), gradient_descent()) < 1e-12
    gd = SolverSettings("gd", step_size=RATE, schedule="constant")
    assert relative_error(fit(gd, stops), distributed(stops, collapse=False)) < 1e-12


@pytest.mark.parametrize("stops", PARTITIONS.values(), ids=PARTITIONS.keys())
def test_the_sum_to_one_number_is_wrong_and_not_reproduced(stops):
    wrong = distributed(stops, collapse=True)
    best = np.linalg.lstsq(X, Y, rcond=None)[0]
    assert np.ptp(wrong) < 1e-12, "every coefficient gets the same update"
    assert np.linalg.norm(X @ wrong - Y) > 10 * np.linalg.norm(X @ best - Y)
    gd = SolverSettings("gd", step_size=RATE, schedule="constant")
    assert relative_error(fit(gd, stops), wrong) > 0.5


def test_it_is_wrong_for_any_number_of_nodes_but_right_for_one_column():
    one = X[:, :1]
    theta = wrong = 0.0
    for _ in range(ITERATIONS):
        theta -= RATE * float(one[:, 0] @ (one[:, 0] * theta - Y)) / M
        wrong -= RATE * float((one.T @ (one[:, 0] * wrong - Y) / M).sum())
    assert wrong == pytest.approx(theta, rel=1e-12)
