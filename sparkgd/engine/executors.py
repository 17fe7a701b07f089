"""What engines ask of Spark, whichever way there is to it: values on executors, each with a number.

    Kept.cached -> through -> exchanged -> through -> collect

The numbers say whose the values are: partitions, the shares of a round, ranges of columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pyarrow as pa

from sparkgd.engine.limits import DriverLimits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Pair: TypeAlias = tuple[int, Any]
"""A number, and a value that can be pickled."""

OnPairs: TypeAlias = Callable[[Iterable[Pair]], Iterator[Pair]]
"""What a task does with its pairs."""

Packer: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[Pair]]
"""What ingest does with the rows of a partition."""


class Pairs(ABC):
    """Pairs on executors, of some partitions; nothing is computed before they are collected."""

    @abstractmethod
    def through(self, function: OnPairs) -> Pairs:
        """What the function makes of the pairs of each partition."""

    @abstractmethod
    def exchanged(self, count: int) -> Pairs:
        """The same pairs in ``count`` partitions, those of equal numbers one after the other in one of them."""

    @abstractmethod
    def plus(self, pairs: Sequence[Pair]) -> Pairs:
        """These pairs, and some of this process."""

    @abstractmethod
    def only(self, partitions: Sequence[int]) -> Pairs:
        """Of pairs as they were kept or read again, those of some partitions."""

    @abstractmethod
    def collect(self) -> list[Pair]:
        """The pairs, in the order of their partitions."""


class LocalPairs(Pairs):
    """Pairs in this process."""

    def __init__(self, pairs: Iterable[Pair]) -> None:
        self._pairs = list(pairs)

    def through(self, function: OnPairs) -> LocalPairs:
        """See `Pairs`."""
        return LocalPairs(function(self._pairs))

    def exchanged(self, count: int) -> LocalPairs:
        """See `Pairs`."""
        return LocalPairs(sorted(self._pairs, key=itemgetter(0)))

    def plus(self, pairs: Sequence[Pair]) -> LocalPairs:
        """See `Pairs`."""
        return LocalPairs([*self._pairs, *pairs])

    def only(self, partitions: Sequence[int]) -> LocalPairs:
        """See `Pairs`; a pair's number is that of its partition."""
        return LocalPairs(pair for pair in self._pairs if pair[0] in partitions)

    def collect(self) -> list[Pair]:
        """See `Pairs`."""
        return self._pairs


class Kept(ABC):
    """What a packer made of the partitions of a DataFrame.

    Attributes
    ----------
    cached : Pairs
        Kept on executors. Those of a lost executor are made again.
    source : Pairs
        The same, which are made again whenever they are asked for.
    refusal : str
        Why Spark keeps nothing, so that ``cached`` is as good as ``source``; nothing where it does.
    """

    cached: Pairs
    source: Pairs
    refusal: str = ""

    @abstractmethod
    def asked(self, function: Callable[[int], OnPairs], most: int | None) -> tuple[int, list[Pair]]:
        """How many partitions there are, at least 1, and what a function made for that number makes of the cached ones.

        There are at most ``most``, if that is known.
        """

    @abstractmethod
    def dealt(self, function: OnPairs, count: int) -> Pairs:
        """What the function makes of the cached pairs, each number from 0 to ``count`` in a partition of its own.

        They are exchanged once, however often they are asked for.
        """

    @abstractmethod
    def renew(self) -> None:
        """Have ``cached`` made again."""

    @abstractmethod
    def instead(self, function: OnPairs) -> Kept:
        """What the function makes of the source, kept in its own right."""

    @property
    @abstractmethod
    def is_there(self) -> bool:
        """Whether they have not been let go."""

    @abstractmethod
    def let_go(self) -> None:
        """Drop them."""


class Parcel(Protocol):
    """Bytes on their way to tasks."""

    @property
    def value(self) -> bytes:
        """The bytes, where the tasks run."""
        ...


@dataclass(frozen=True)
class Enclosed:
    """A parcel that travels with every task."""

    value: bytes


class Executors(ABC):
    """A Spark application as engines see it.

    Attributes
    ----------
    slots : int or None
        Tasks that can run at once; None while executors may still come (dynamic allocation).
    limits : DriverLimits
        What one job may send to this process.
    share_disks : bool
        Whether blocks are on disks that this process can read.
    application : object
        Stands for the Spark application, as long as this process uses it.
    """

    application: Any

    @property
    @abstractmethod
    def slots(self) -> int | None: ...  # noqa: D102

    @property
    @abstractmethod
    def limits(self) -> DriverLimits: ...  # noqa: D102

    @property
    @abstractmethod
    def share_disks(self) -> bool: ...  # noqa: D102

    @abstractmethod
    def know_small(self, df: DataFrame, limit: int) -> bool:
        """Whether it is known, without a job, that the rows take at most ``limit`` bytes."""

    @abstractmethod
    def keep(self, df: DataFrame, packer: Packer) -> Kept:
        """What the packer makes of each partition; it is called when this is first asked for."""

    @abstractmethod
    def everywhere(self, function: Callable[[], None]) -> None:
        """Call a function on every executor that takes tasks, on some more than once."""

    @abstractmethod
    def described(self, description: str) -> AbstractContextManager[None]:
        """Describe the jobs of the body for whoever watches them."""

    @abstractmethod
    def outlived_by_no_task(self) -> AbstractContextManager[None]:
        """Pass on an error of the body only when no task of its jobs runs any more, as far as that can be known."""

    @abstractmethod
    def parcel(self, data: bytes) -> AbstractContextManager[Parcel]:
        """Bytes for every task of the jobs of the body."""
