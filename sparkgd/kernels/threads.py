"""How many threads BLAS has in this process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """A context in which BLAS has one thread, as in Spark's workers.

    Chunks that fit a core's cache are too small to share out, threads that wait for each other are worst on a busy
    machine, and their number would show in the last bits.
    """
    limited: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    """Handle of the BLAS libraries of this process; finding them takes some milliseconds."""
    return ThreadpoolController()
