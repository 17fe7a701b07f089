"""Work on several blocks at once in this process, and how many threads BLAS has meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from sparkgd.kernels.block import Block
from sparkgd.kernels.memory import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_THREADS = 1 << 17
"""Stored values from which on a scan takes longer than to start threads for it."""


def one_thread() -> AbstractContextManager[object]:
    """A context in which BLAS has one thread, as in Spark's workers.

    Chunks that fit a core's cache are too small to share out, threads that wait for each other are worst on a busy
    machine, and their number would show in the last bits.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


def each_block(function: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    """The function's results, in order; see `each`."""
    return each(function, blocks, sum(block.features.stored for block in blocks))


def each(function: Callable[[Item], Result], items: Sequence[Item], stored: int) -> list[Result]:
    """The function's results, in order; the cores that this process may use share out the items.

    NumPy and SciPy leave the interpreter to other threads while they compute. Results do not depend on how many cores
    there are, since an item is one thread's work.

    Parameters
    ----------
    function : callable
    items : sequence
    stored : int
        Feature values that all of them store.
    """
    keep_freed_memory()
    threads, errors = min(len(items), _cores()), np.geterr()

    def in_thread(item: Item) -> Result:
        with np.errstate(**errors):  # of its own in each thread
            return function(item)

    with one_thread():
        if threads <= 1 or stored < WORTH_THREADS:
            return [function(item) for item in items]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(in_thread, items))


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    """Handle of the BLAS libraries of this process; finding them takes some milliseconds."""
    return ThreadpoolController()
