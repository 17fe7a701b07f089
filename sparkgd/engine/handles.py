"""What executors keep of each partition that was packed: its block's handle, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparkgd.data.blockfile import BlockHandle
from sparkgd.engine.executors import Pair
from sparkgd.exceptions import DiskFullError


def read_handles(pairs: Iterable[Pair]) -> Iterator[tuple[int, BlockHandle, float]]:
    """Number, handle and packing seconds of what was packed. Runs on executors.

    Raises
    ------
    DiskFullError
        If there was no room for it.
    """
    for number, (handle, seconds, failure) in pairs:
        if failure is not None:
            raise DiskFullError(failure)
        yield number, handle, seconds
