"""A disk without room: the kernel's own device that is always full, in place of every file of a block."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sparkgd.data import writer


@contextmanager
def full_disk(names: Iterable[str] = ()) -> Iterator[None]:
    """No file of these names in this process's blocks has room; by default none at all."""

    def open_full(path: Any, mode: str) -> Any:
        return builtins.open("/dev/full" if not names or path.name in names else path, mode)

    writer.open = open_full
    try:
        yield
    finally:
        del writer.open


def on_full_disks(make: Callable[..., Any], partitions: Iterable[int]) -> Callable[..., Any]:
    """Like the packer's factory ``make``, but in these partitions there is no room."""
    from pyspark import TaskContext

    def packer(*args: Any) -> Any:
        inner = make(*args)

        def pack_partition(batches: Iterable[Any]) -> Iterator[Any]:
            if TaskContext.get().partitionId() not in partitions:
                yield from inner(batches)
                return
            with full_disk():
                yield from inner(batches)

        return pack_partition

    return packer
