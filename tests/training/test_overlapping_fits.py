"""Fits in threads of one process, as a cross-validator makes them, do not notice each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sparkgd.kernels.blas import one_thread
from sparkgd.losses import LogisticLoss
from sparkgd.solvers.registry import SolverSettings
from tests.support.bits import bits
from tests.support.blas import blas_threads
from tests.support.local import LocalFit, block_of

COLUMNS = 300
"""So many that a Cholesky factor's last bits tell how many threads BLAS had."""

RNG = np.random.default_rng(5)
X = RNG.normal(size=(600, COLUMNS))
BLOCK = block_of(X, (X[:, 0] + RNG.logistic(size=600) > 0).astype(float))
FITS = [
    LocalFit(LogisticLoss(), SolverSettings(solver), reg=reg)
    for solver, reg in [("newton", 1e-2), ("l-bfgs", 1e-2), ("newton", 1e-1), ("newton-cg", 1e-2)]
]


@pytest.fixture(autouse=True)
def two_blas_threads() -> Iterator[None]:
    """Whatever the machine has."""
    with threadpool_limits(2, "blas"):
        yield


def test_fits_in_threads_have_the_bits_of_fits_one_after_the_other():
    alone = [bits(fit.run(BLOCK).coef) for fit in FITS]
    all_began = Barrier(len(FITS), timeout=60)

    def run(fit: LocalFit) -> bytes:
        wait = [lambda record: all_began.wait() and None if record.round == 1 else None]
        return bits(fit.run(BLOCK, callbacks=wait).coef)

    with ThreadPoolExecutor(len(FITS)) as pool:
        assert list(pool.map(run, FITS)) == alone
    assert blas_threads() == {2}


@pytest.mark.parametrize("fit", FITS[:2], ids=["newton", "l-bfgs"])
def test_a_fit_has_the_same_bits_while_another_has_taken_blas_its_threads(fit):
    alone = bits(fit.run(BLOCK).coef)
    begun, end = Event(), Event()

    def other() -> None:
        with one_thread():
            begun.set()
            assert end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(other)
        assert begun.wait(10)
        meanwhile = bits(fit.run(BLOCK).coef)
        end.set()
        running.result()
    assert meanwhile == alone
    assert blas_threads() == {2}


def test_callbacks_too_run_while_blas_has_one_thread():
    seen: list[set[int]] = []
    FITS[0].run(BLOCK, callbacks=[lambda record: seen.append(blas_threads())])
    assert seen and all(found == {1} for found in seen)
