"""What one task returns from a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkgd.kernels import Block, Kernel, Sums


@dataclass(frozen=True)
class Partial:
    """Sums of every kernel of a round over some partitions.

    Attributes
    ----------
    sums : tuple of Sums
    fingerprint : int
        Sum, modulo 2^64, of the fingerprints of the blocks that were scanned.
    missing : tuple of int
        Partitions whose block was not on the machine that ran the task.
    """

    sums: tuple[Sums, ...]
    fingerprint: int = 0
    missing: tuple[int, ...] = ()

    def __add__(self, other: Partial) -> Partial:
        return Partial(
            tuple(mine + theirs for mine, theirs in zip(self.sums, other.sums, strict=True)),
            (self.fingerprint + other.fingerprint) % 2**64,
            self.missing + other.missing,
        )


def scan(kernels: Sequence[Kernel], block: Block, fingerprint: int = 0) -> Partial:
    """Run every kernel over a block."""
    return Partial(tuple(kernel(block) for kernel in kernels), fingerprint)
