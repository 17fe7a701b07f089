"""Checks before a round of what Spark would refuse in the middle of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkgd.exceptions import InvalidParamError

MAX_RESULT = "spark.driver.maxResultSize"

HEAP_COPIES = 6
"""Copies of a result in the JVM between a Python worker and the driver's Python; 1 GB was seen to carry 160 MB."""

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_bytes(text: str) -> int:
    """Bytes that a Spark size such as ``1g`` or ``512mb`` stands for; a plain number is bytes."""
    match = re.fullmatch(r"\s*(\d+)\s*([kmgtp]?)b?\s*", text.lower())
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(match[1]) * UNITS[match[2]]


def check_driver_heap(heap: int, received: int, what: str) -> None:
    """Refuse to collect results that the driver's JVM could not hold, of which it keeps several copies on their way.

    Raises
    ------
    InvalidParamError
    """
    needed = HEAP_COPIES * received
    if heap < needed:
        raise InvalidParamError(
            f"{what} would send {received >> 20} MB to the driver, whose JVM needs about {HEAP_COPIES} times as much "
            f"and has {heap >> 20} MB: start Spark with --driver-memory {(needed >> 30) + 1}g (spark.driver.memory)"
        )


def check_result_size(limit: int, received: int) -> None:
    """Refuse a round whose partial sums exceed the `max_result_size`, with the setting to change.

    Raises
    ------
    InvalidParamError
    """
    if 0 < limit < received:
        megabytes = -(-received // (1 << 20))
        raise InvalidParamError(
            f"a round would return about {megabytes} MB of partial sums to the driver, more than {MAX_RESULT} allows "
            f"({limit >> 20} MB): start Spark with --conf {MAX_RESULT}={megabytes + megabytes // 4}m (and as much more "
            "driver memory)"
        )


@dataclass(frozen=True)
class DriverLimits:
    """What the driver can receive from one job.

    Attributes
    ----------
    max_result_size : int
        In bytes, 0 for no limit.
    heap : int
        Bytes of the driver's JVM.
    """

    max_result_size: int
    heap: int

    @property
    def collectable(self) -> int:
        """Bytes of results that the driver can receive from one job."""
        by_heap = self.heap // HEAP_COPIES
        return min(self.max_result_size or by_heap, by_heap)

    def allow(self, received: int) -> bool:
        """Whether the driver can receive so many bytes."""
        return HEAP_COPIES * received <= self.heap and (received <= self.max_result_size or not self.max_result_size)

    def check(self, received: int) -> None:
        """Refuse a round that would return more.

        Raises
        ------
        InvalidParamError
        """
        check_result_size(self.max_result_size, received)
        check_driver_heap(self.heap, received, "a round")

    def check_statistics(self, kept_back: int) -> None:
        """Refuse data whose statistics ingest kept back, so many bytes, because the driver could not receive them.

        Raises
        ------
        InvalidParamError
        """
        limit = self.max_result_size
        if 0 < limit < kept_back:
            raise InvalidParamError(
                f"ingest would return {kept_back >> 20} MB of statistics of columns to the driver, more than "
                f"{MAX_RESULT} allows ({limit >> 20} MB): start Spark with --conf {MAX_RESULT}="
                f"{(kept_back >> 20) * 5 // 4}m and spark.driver.memory={(HEAP_COPIES * kept_back >> 30) + 1}g, or use "
                "fewer partitions"
            )
        check_driver_heap(self.heap, kept_back, "ingest")
