"""Work on several blocks at once in this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.block import Block
from sparkgd.kernels.memory import keep_freed_memory

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH_THREADS = 1 << 17
"""Stored values from which on a scan takes longer than to start threads for it."""


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
        with np.errstate(**errors), one_thread():  # a thread has its own errors, and with some libraries its own BLAS
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
