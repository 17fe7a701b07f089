"""Blocks share out the cores of this process, and nobody can tell from the results."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from sparkgd.kernels import threads
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.threads import WORTH_THREADS, each_block
from tests.support.blas import blas_threads


@pytest.fixture(params=[1, 2, 8])
def cores(request, monkeypatch) -> int:
    monkeypatch.setattr(threads, "_cores", lambda: request.param)
    return request.param


def blocks(count: int, stored: int = WORTH_THREADS) -> list[Block]:
    """So many of one row, numbered by their labels."""
    row = np.zeros((1, stored))
    return [Block(DenseFeatures(row), np.array([float(number)]), np.ones(1)) for number in range(count)]


def number(block: Block) -> int:
    return int(block.label[0])


def test_results_are_in_the_order_of_the_blocks(cores):
    assert each_block(number, blocks(50)) == list(range(50))
    assert each_block(number, []) == []


def test_blocks_are_scanned_at_once_where_there_are_cores(monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    both = threading.Barrier(2, timeout=10)
    each_block(lambda block: both.wait(), blocks(2))


def test_few_values_are_not_worth_a_thread(cores):
    assert set(each_block(lambda block: threading.get_ident(), blocks(3, stored=5))) == {threading.get_ident()}


def test_an_error_is_the_caller_s(cores):
    def fail(block: Block) -> None:
        raise ValueError(f"block {number(block)}")

    with pytest.raises(ValueError, match="block 0"):
        each_block(fail, blocks(4))


def test_what_numpy_does_about_overflow_is_as_in_the_caller(cores):
    def overflow(block: Block) -> float:
        return float(np.exp(block.weight * 1e4)[0])

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        each_block(overflow, blocks(2))
    with np.errstate(over="ignore"):
        assert each_block(overflow, blocks(2)) == [np.inf, np.inf]


def test_blas_has_one_thread_meanwhile(cores):
    with threadpool_limits(2, "blas"):
        assert each_block(lambda block: blas_threads(), blocks(3)) == [{1}] * 3
        assert blas_threads() == {2}


def test_an_error_gives_blas_its_threads_back(cores):
    with threadpool_limits(2, "blas"):
        with pytest.raises(ZeroDivisionError):
            each_block(lambda block: 1 // 0, blocks(2))
        assert blas_threads() == {2}
