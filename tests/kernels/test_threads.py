"""Blocks share out the cores of this process, and nobody can tell from the results."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from sparkgd.kernels import threads
from sparkgd.kernels.threads import each


@pytest.fixture(params=[1, 2, 8])
def cores(request, monkeypatch) -> int:
    monkeypatch.setattr(threads, "_cores", lambda: request.param)
    return request.param


def test_results_are_in_the_order_of_the_items(cores):
    assert each(lambda item: item * item, range(50)) == [item * item for item in range(50)]
    assert each(str, []) == []


def test_items_run_at_once_where_there_are_cores(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    each(lambda item: both.wait(), [0, 1])


def test_an_error_is_the_caller_s(cores):
    def fail(item: int) -> None:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        each(fail, range(4))


def test_what_numpy_does_about_overflow_is_as_in_the_caller(cores):
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        each(lambda item: np.exp(np.full(item, 1e4)), [3, 3])
    with np.errstate(over="ignore"):
        assert np.isinf(each(lambda item: np.exp(np.full(item, 1e4)), [3, 3])).all()


def test_blas_has_one_thread_meanwhile(cores):
    def blas(item: int) -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    for found in each(blas, range(3)):
        assert found
        assert set(found) == {1}
