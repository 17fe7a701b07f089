"""How many threads BLAS has: one, while anybody here computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock, local
from typing import Any


@contextmanager
def one_thread() -> Iterator[None]:
    """A context, or a decorator, in which BLAS has one thread, as in Spark's workers.

    Chunks that fit a core's cache are too small to share out, threads that wait for each other are worst on a busy
    machine, and their number would show in the last bits. Contexts may overlap, in threads too: afterwards BLAS has as
    many threads as before the first.
    """
    _LIMITER.enter()
    try:
        yield
    finally:
        _LIMITER.leave()


class _Limiter:
    """Counts who wants BLAS to have one thread.

    Most BLAS libraries have one number of threads for the process. Users that overlap must then not each restore what
    they found there: the second found the limit of the first. Others have a number for each thread that calls them,
    which shows when somebody who enters later does not find the limit; of these each user restores his own.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before: list[int] = []
        self._by_thread: set[int] = set()
        self._thread = local()

    def enter(self) -> None:
        """Begin; a thread that is inside already changes nothing."""
        depth = getattr(self._thread, "depth", 0)
        if depth == 0:
            with self._lock:
                self._limit()
        self._thread.depth = depth + 1

    def leave(self) -> None:
        """End, in the thread that began."""
        self._thread.depth -= 1
        if self._thread.depth == 0:
            with self._lock:
                self._restore()

    def _limit(self) -> None:
        found = [library.num_threads for library in _libraries()]
        if self._users == 0:
            self._before, self._by_thread = found, set()
        else:
            self._by_thread.update(number for number, threads in enumerate(found) if threads != 1)
        self._thread.found = found
        self._users += 1
        for library in _libraries():
            _set(library, 1)

    def _restore(self) -> None:
        self._users -= 1
        for number, library in enumerate(_libraries()):
            if number in self._by_thread:
                _set(library, self._thread.found[number])
            elif self._users == 0:
                _set(library, self._before[number])


_LIMITER = _Limiter()


@cache
def _libraries() -> list[Any]:
    """Handles of the BLAS libraries of this process; finding them takes some milliseconds."""
    import threadpoolctl  # executors have one thread in any case, and need not have this package

    found: list[Any] = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
    return found


def _set(library: Any, threads: int) -> None:
    """Set a library's number of threads, whichever thread set it before.

    From threadpoolctl 3.8 on a process-wide number obeys the first thread that sets it and ignores all others,
    silently, until that one ends; but the last user to leave may be another than the first.
    """
    disown = getattr(library, "clear_controlling_thread", None)
    if disown is not None:
        disown(force=True)
    library.set_num_threads(threads)
    if disown is not None:
        disown(force=True)
