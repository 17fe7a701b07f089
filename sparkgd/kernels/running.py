"""Kernels run over a block; one that fails says which loss it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from sparkgd.exceptions import KernelError
from sparkgd.kernels import Block, Kernel, Sums

TOLD = re.compile(rf"{KernelError.__name__}: (.+)")
"""How the traceback of an executor ends, as Spark tells it."""


def sums_of(kernels: Sequence[Kernel], block: Block) -> list[Sums]:
    """What every kernel makes of a block.

    A line search may try points so far away that sums overflow: inf and nan are answers there, not accidents.

    Raises
    ------
    KernelError
        If one of them fails, as a user's own loss may.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return [_sums(kernel, block) for kernel in kernels]


def _sums(kernel: Kernel, block: Block) -> Sums:
    try:
        return kernel(block)
    except MemoryError:
        raise
    except Exception as error:
        loss = getattr(kernel, "loss", None)
        name = type(kernel).__name__ if loss is None else f"the {loss.name} loss"
        raise KernelError(f"{name} failed: {type(error).__name__}: {error}") from error


def kernel_error(error: Exception) -> KernelError | None:
    """The error of a kernel that a failed Spark job is about, if it is about one."""
    told = TOLD.search(str(error))
    return None if told is None else KernelError(told.group(1).strip())
