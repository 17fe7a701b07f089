"""Blocks that do not fit on their disk: what the user is told."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkgd.exceptions import DiskFullError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A disk, a quota, or the size that the system allows of a file is used up."""


@contextmanager
def disk_full_explained(directory: Path, written: Callable[[], int]) -> Iterator[None]:
    """Say of a full disk which it is, how much was written and how much is free, and what to change.

    Parameters
    ----------
    directory : Path
        Where the body writes.
    written : callable
        Bytes that the body has tried to write so far.

    Raises
    ------
    DiskFullError
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(
            f"the local disk is full on host {socket.gethostname()}: a partition's rows need at least "
            f"{_megabytes(written())} MB in {directory}, of which the system says {error.strerror!r}; "
            f"{_megabytes(_free(directory))} MB are free there without them. Choose a larger disk by spark.local.dir "
            "(SPARK_LOCAL_DIRS of a standalone cluster, yarn.nodemanager.local-dirs on YARN, TMPDIR for rows that are "
            "packed by the driver), or pack less on each machine: more executors, fewer columns, or dtype='float32'"
        ) from error


def _free(directory: Path) -> int:
    """Bytes free on the disk of a directory that need not be there any more."""
    while not directory.exists():
        directory = directory.parent
    return shutil.disk_usage(directory).free


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
