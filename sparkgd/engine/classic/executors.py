"""Executors by the SparkContext: pairs are RDDs, and rounds are jobs over them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pyarrow as pa
from pyspark import StorageLevel

from sparkgd.engine.classic.arrow_batches import bounded_batches
from sparkgd.engine.classic.description import job_description
from sparkgd.engine.classic.everywhere import on_each_executor
from sparkgd.engine.classic.failed_jobs import no_task_outlives
from sparkgd.engine.classic.known_size import is_small
from sparkgd.engine.executors import Enclosed, Executors, Kept, OnPairs, Packer, Pair, Pairs, Parcel
from sparkgd.engine.limits import MAX_RESULT, DriverLimits, parse_bytes

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast, SparkContext
    from pyspark.sql import DataFrame, SparkSession

PAIR_SCHEMA = "number int, value binary"
"""A pair whose value is pickled."""

BROADCAST_BYTES = 1 << 20
"""Parcels larger than this are broadcast once to each executor instead of shipped with every task."""


LEVEL = StorageLevel.MEMORY_AND_DISK
"""How Spark keeps what it is to keep."""


class ClassicExecutors(Executors):
    """The executors of a session with a JVM in reach."""

    def __init__(self, spark: SparkSession) -> None:
        self._context: SparkContext = spark.sparkContext
        self.application = self._context

    @property
    def slots(self) -> int | None:
        """See `Executors`."""
        if self._context._conf.get("spark.dynamicAllocation.enabled", "false") == "true":
            return None
        return max(self._context.defaultParallelism, 1)

    @property
    def limits(self) -> DriverLimits:
        """See `Executors`."""
        # getConf() would copy the whole configuration, key by key, which takes longer than to ask for one.
        return DriverLimits(parse_bytes(self._context._conf.get(MAX_RESULT, "1g")), _heap_of(self._context))

    @property
    def share_disks(self) -> bool:
        """Whether the executor is this machine's, with the driver's disks."""
        return bool(self._context._jsc.sc().isLocal())

    def know_small(self, df: DataFrame, limit: int) -> bool:
        """See `Executors`."""
        return is_small(df, limit)

    def keep(self, df: DataFrame, packer: Packer) -> RDDKept:
        """See `Executors`."""
        with bounded_batches(df):
            source = df.mapInArrow(_to_rows(packer), PAIR_SCHEMA).rdd
        # A union of one is the same RDD under another id: one lineage, of which only this copy is cached.
        cached = self._context.union([source]).persist(LEVEL)
        return RDDKept(cached, RDDPairs(cached.mapPartitions(_from_rows)), RDDPairs(source.mapPartitions(_from_rows)))

    def everywhere(self, function: Callable[[], None]) -> None:
        """See `Executors`."""
        if self.share_disks:
            self._context.parallelize([0], 1).foreachPartition(lambda rows: function())
        else:
            on_each_executor(self._context, function)

    def described(self, description: str) -> AbstractContextManager[None]:
        """See `Executors`."""
        return job_description(self._context, description)

    def outlived_by_no_task(self) -> AbstractContextManager[None]:
        """See `Executors`."""
        return no_task_outlives(self._context)

    @contextmanager
    def parcel(self, data: bytes) -> Iterator[Parcel]:
        """See `Executors`."""
        if len(data) <= BROADCAST_BYTES:
            yield Enclosed(data)
            return
        broadcast: Broadcast[bytes] = self._context.broadcast(data)
        try:
            yield broadcast
        finally:
            broadcast.destroy()


_heaps: WeakKeyDictionary[SparkContext, int] = WeakKeyDictionary()
"""By application; the way to the JVM's runtime takes milliseconds."""


def _heap_of(context: SparkContext) -> int:
    """Bytes that the driver's JVM may take."""
    if context not in _heaps:
        _heaps[context] = int(context._jvm.java.lang.Runtime.getRuntime().maxMemory())  # type: ignore[union-attr]
    return _heaps[context]


class RDDPairs(Pairs):
    """Pairs as an RDD, of which only some partitions may be wanted."""

    def __init__(self, rdd: RDD[Pair], partitions: Sequence[int] | None = None) -> None:
        self.rdd, self._partitions = rdd, partitions

    def through(self, function: OnPairs) -> RDDPairs:
        """See `Pairs`."""
        return RDDPairs(self.rdd.mapPartitions(function), self._partitions)

    def exchanged(self, count: int) -> RDDPairs:
        """See `Pairs`; number k is in partition k."""
        return RDDPairs(self.rdd.partitionBy(count, int))

    def plus(self, pairs: Sequence[Pair]) -> RDDPairs:
        """See `Pairs`."""
        return RDDPairs(self.rdd.union(self.rdd.context.parallelize(pairs, max(len(pairs), 1))))

    def only(self, partitions: Sequence[int]) -> RDDPairs:
        """See `Pairs`."""
        return RDDPairs(self.rdd, partitions)

    def collect(self) -> list[Pair]:
        """See `Pairs`."""
        if self._partitions is None:
            return self.rdd.collect()
        return list(self.rdd.context.runJob(self.rdd, list, self._partitions))


@dataclass(frozen=True)
class RDDKept(Kept):
    """A cached RDD, and the one that it was made of."""

    rows: RDD[Any]
    cached: RDDPairs
    source: RDDPairs

    def asked(self, function: Callable[[int], OnPairs], most: int | None) -> tuple[int, list[Pair]]:
        """See `Kept`."""
        count = max(self.rows.getNumPartitions(), 1)
        return count, self.cached.through(function(count)).collect()

    def dealt(self, function: OnPairs, count: int) -> RDDPairs:
        """See `Kept`; Spark keeps what a shuffle has written."""
        return self.cached.through(function).exchanged(count)

    def renew(self) -> None:
        """See `Kept`."""
        self.rows.unpersist(blocking=True)
        self.rows.persist(LEVEL)

    def instead(self, function: OnPairs) -> RDDKept:
        """See `Kept`."""
        source = self.source.through(function).rdd
        cached = source.context.union([source]).persist(LEVEL)
        return RDDKept(cached, RDDPairs(cached), RDDPairs(source))

    @property
    def is_there(self) -> bool:
        """See `Kept`."""
        return self.rows.is_cached

    def let_go(self) -> None:
        """See `Kept`."""
        self.rows.unpersist()


def _to_rows(packer: Packer) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Function for ``mapInArrow``. Runs on executors."""
    schema = pa.schema([("number", pa.int32()), ("value", pa.binary())])

    def pack(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, value in packer(batches):
            yield pa.RecordBatch.from_pydict({"number": [number], "value": [pickle.dumps(value)]}, schema)

    return pack


def _from_rows(rows: Iterable[Any]) -> Iterator[Pair]:
    """Pairs of rows of `PAIR_SCHEMA`. Runs on executors."""
    for number, value in rows:
        yield number, pickle.loads(value)
