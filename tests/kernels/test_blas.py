"""BLAS has one thread while anybody computes, and afterwards what it had before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from threadpoolctl import threadpool_limits

from sparkgd.kernels import blas
from sparkgd.kernels.blas import one_thread
from tests.support.blas import blas_threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Whatever the machine has; set by the main thread, as a user may have done."""
    with threadpool_limits(2, "blas"):
        assert blas_threads() == {2}
        yield


class Stage:
    """A thread that goes in and out of the context when it is told to."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._in, self._out = threading.Event(), threading.Event()
        self._task = pool.submit(self._run)
        assert self._in.wait(10)

    def _run(self) -> None:
        with one_thread():
            self._in.set()
            assert self._out.wait(10)

    def leave(self) -> None:
        self._out.set()
        self._task.result(10)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=str)
def test_the_last_of_overlapping_contexts_gives_blas_its_threads_back(two_threads, order):
    with ThreadPoolExecutor(3) as pool:
        stages = [Stage(pool) for _ in range(3)]
        for number in order:
            assert blas_threads() == {1}
            stages[number].leave()
    assert blas_threads() == {2}


def test_contexts_may_be_nested(two_threads):
    with one_thread():
        with one_thread():
            pass
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_many_contexts_in_many_threads(two_threads):
    def enter_often(_: int) -> set[int]:
        seen: set[int] = set()
        for _ in range(50):
            with one_thread():
                seen |= blas_threads()
        return seen

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(enter_often, range(4))) == [{1}] * 4
    assert blas_threads() == {2}


def test_a_function_may_be_decorated(two_threads):
    decorated = one_thread()(blas_threads)
    assert [decorated(), decorated()] == [{1}, {1}]
    assert blas_threads() == {2}


class ByThread:
    """A BLAS whose number of threads is each calling thread's own, as those built with OpenMP."""

    def __init__(self) -> None:
        self._numbers = threading.local()

    @property
    def num_threads(self) -> int:
        return getattr(self._numbers, "value", 8)

    def set_num_threads(self, threads: int) -> None:
        self._numbers.value = threads


def test_a_number_of_each_thread_is_limited_and_restored_in_each(monkeypatch):
    library = ByThread()
    monkeypatch.setattr(blas, "_libraries", lambda: [library])
    library.set_num_threads(4)
    first_left = threading.Event()
    seen = []

    def second() -> None:
        with one_thread():
            seen.append(library.num_threads)
            inside.set()
            assert first_left.wait(10)
        seen.append(library.num_threads)

    with ThreadPoolExecutor(1) as pool:
        with one_thread():
            inside = threading.Event()
            other = pool.submit(second)
            assert inside.wait(10)
            assert library.num_threads == 1
        assert library.num_threads == 4
        first_left.set()
        other.result(10)
    assert seen == [1, 8]
