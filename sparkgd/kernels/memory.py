"""Memory of what a scan computes chunk by chunk."""

from __future__ import annotations

from functools import cache

import numpy as np

LARGEST_KEPT = (32 << 20) - (1 << 16)
"""Most bytes of an array, with what malloc adds to it, of which glibc learns to keep such arrays."""


@cache
def keep_freed_memory() -> None:
    """Make this process keep the memory of arrays that it frees, for those of the next chunk.

    By default glibc's malloc returns arrays of more than 128 KB to the system, and every chunk faults its pages in
    again: up to three times the time of a round over sparse rows. It keeps arrays of any size that was freed once, up
    to 32 MB (``M_MMAP_THRESHOLD`` in mallopt(3), which is dynamic). Elsewhere this does nothing.
    """
    array = np.empty(LARGEST_KEPT, dtype=np.uint8)
    del array
