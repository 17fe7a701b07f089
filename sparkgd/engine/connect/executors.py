"""Executors by DataFrames alone: pairs are rows of pickled pieces, and rounds are queries over a cached view.

    view of handles -> mapInArrow -> repartition, sort -> mapInArrow -> Arrow

A query names the view, so that what made its rows is neither sent nor analysed again in every round.
"""

from __future__ import annotations

import contextlib
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
from pyspark import StorageLevel, TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, IntegerType, LongType, StructField, StructType

from sparkgd.engine.executors import Enclosed, Executors, Kept, OnPairs, Packer, Pair, Pairs, Parcel
from sparkgd.engine.limits import MAX_RESULT, DriverLimits, parse_bytes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PIECE_SCHEMA = StructType(
    [
        StructField("number", IntegerType()),
        StructField("sender", LongType()),
        StructField("rest", IntegerType()),
        StructField("value", BinaryType()),
    ]
)
"""A piece of a pickled value: whose it is, which value of which task, and how many pieces are still to follow.

As text it would be parsed by the server, in a call of its own before every round.
"""

PIECE_BYTES = 1 << 20
"""Values are sent in pieces of so many bytes: a row must fit in a message."""

ARROW_SCHEMA = pa.schema([("number", pa.int32()), ("sender", pa.int64()), ("rest", pa.int32()), ("value", pa.binary())])

SUPPOSED_SLOTS = 8
"""Where executors may still come."""

SENDERS = 32
"""Bits for the values of a task; those above number the tasks."""


@dataclass(frozen=True)
class Application:
    """What does not change of a Spark application, and takes remote calls to know.

    Attributes
    ----------
    slots : int or None
    limits : DriverLimits
    tasks : DataFrame
        So many tasks that every executor takes some; the server has analysed it.
    """

    slots: int | None
    limits: DriverLimits
    tasks: DataFrame

    @classmethod
    @lru_cache(maxsize=4)  # sessions of a process; most have one
    def of(cls, spark: Any) -> Application:
        """That of a session."""
        conf = spark.conf
        limits = [parse_bytes(conf.get(name, "1g")) for name in (MAX_RESULT, "spark.driver.memory")]
        slots = None
        if conf.get("spark.dynamicAllocation.enabled", "false") != "true":
            # Spark makes as many partitions of a range as tasks can run at once.
            numbers = spark.range(1 << 20).select(F.spark_partition_id().alias("number"))
            slots = int(numbers.agg(F.max("number")).first()[0]) + 1
        count = 2 * (slots or SUPPOSED_SLOTS)
        return cls(slots, DriverLimits(*limits), spark.range(0, count, 1, count))


class ConnectExecutors(Executors):
    """The executors of a session of Spark Connect."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark: Any = spark
        self.application = self._spark

    @property
    def slots(self) -> int | None:
        """See `Executors`."""
        return self._known().slots

    @property
    def limits(self) -> DriverLimits:
        """See `Executors`; of the server."""
        return self._known().limits

    def _known(self) -> Application:
        return Application.of(self._spark)

    @property
    def share_disks(self) -> bool:
        """Never: the server may be anywhere."""
        return False

    def know_small(self, df: DataFrame, limit: int) -> bool:
        """Never: plans are the server's."""
        return False

    def keep(self, df: DataFrame, packer: Packer) -> ViewKept:
        """See `Executors`."""
        # The packer's name for its files makes its rows unlike all others, so that Spark finds none of those in its
        # cache; the source differs from what is cached by what is done with it in the same task.
        return ViewKept(self._spark, FramePairs(df, packer))

    def everywhere(self, function: Callable[[], None]) -> None:
        """See `Executors`."""

        def call(pairs: Iterable[Pair]) -> Iterator[Pair]:
            function()
            return iter(())

        FramePairs(self._known().tasks, _nothing, (call,)).collect()

    @contextmanager
    def described(self, description: str) -> Iterator[None]:
        """Nothing is shown; queries of the body end with it, also when it is interrupted."""
        tag = f"sparkgd-{uuid.uuid4().hex}"
        self._spark.addTag(tag)
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self._spark.interruptTag(tag)
            raise
        finally:
            self._spark.removeTag(tag)

    def outlived_by_no_task(self) -> AbstractContextManager[None]:
        """See `Executors`; that queries were interrupted is all that can be known."""
        return self.described("")

    @contextmanager
    def parcel(self, data: bytes) -> Iterator[Parcel]:
        """See `Executors`; what travels with a query is sent once to each executor."""
        yield Enclosed(data)


Reader: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[Pair]]
"""How pairs are read of a DataFrame's rows."""

Task: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
"""What ``mapInArrow`` calls."""


class FramePairs(Pairs):
    """Pairs that are read of a DataFrame's rows, and what is to be done with them in the same task."""

    def __init__(self, df: DataFrame, reader: Reader, functions: Sequence[OnPairs] = ()) -> None:
        self._df, self._reader, self._functions = df, reader, tuple(functions)

    def through(self, function: OnPairs) -> FramePairs:
        """See `Pairs`."""
        return FramePairs(self._df, self._reader, (*self._functions, function))

    def exchanged(self, count: int) -> FramePairs:
        """See `Pairs`; a partition may have several numbers, one after the other."""
        return FramePairs(_in_order(self.pieces().repartition(count, "number")), _read_pieces)

    def plus(self, pairs: Sequence[Pair]) -> FramePairs:
        """See `Pairs`."""
        batches = list(_pieces_of(pairs, -1))
        known = self._df.sparkSession.createDataFrame(pa.Table.from_batches(batches, ARROW_SCHEMA))
        return FramePairs(self.pieces().unionByName(known), _read_pieces)

    def only(self, partitions: Sequence[int]) -> FramePairs:
        """See `Pairs`."""
        return FramePairs(self._df, _only(frozenset(partitions), self._reader))

    def collect(self) -> list[Pair]:
        """See `Pairs`."""
        return list(_read_pieces(self.pieces().toArrow().to_batches()))

    def pieces(self) -> DataFrame:
        """The pairs as rows."""
        return self._df.mapInArrow(_task(self._reader, self._functions), PIECE_SCHEMA)


class ViewKept(Kept):
    """A cached view, and the DataFrame that it was made of."""

    cached: FramePairs
    source: FramePairs

    def __init__(self, spark: Any, source: FramePairs) -> None:
        self._spark = spark
        self._views: list[str] = []
        self.source = source
        self.cached = self._view(source.pieces())

    def _view(self, rows: DataFrame) -> FramePairs:
        """The rows, kept by a view's name; where Spark permits that to nobody, they are not."""
        name = f"sparkgd_{uuid.uuid4().hex}"
        rows.createTempView(name)
        self._views.append(name)
        try:
            self._spark.catalog.cacheTable(name, StorageLevel.MEMORY_AND_DISK)
        except PySparkException as error:
            self.refusal = f"Spark refused to cache them ({error})"
        return FramePairs(self._spark.table(name), _read_pieces)

    def asked(self, function: Callable[[int], OnPairs], most: int | None) -> tuple[int, list[Pair]]:
        """See `Kept`; those that have rows, of which there nearly always are as many as there may be at most.

        Where it turns out that there are fewer, they are asked once more. To count them first would take a job.
        """
        supposed = most or max(int(self._spark.table(self._views[0]).count()), 1)
        found = self.cached.through(function(supposed)).collect()
        count = max(len(found), 1)
        return count, found if count == supposed else self.cached.through(function(count)).collect()

    def dealt(self, function: OnPairs, count: int) -> FramePairs:
        """See `Kept`: ranges of one number each."""
        for name in self._views[1:]:
            self._drop(name)
        pieces = self.cached.through(function).pieces()
        return self._view(_in_order(pieces.repartitionByRange(count, "number")))

    def renew(self) -> None:
        """See `Kept`."""
        self.let_go()
        self.cached = self._view(self.source.pieces())

    def instead(self, function: OnPairs) -> ViewKept:
        """See `Kept`."""
        return ViewKept(self._spark, self.source.through(function))

    @property
    def is_there(self) -> bool:
        """See `Kept`."""
        return bool(self._views)

    def let_go(self) -> None:
        """See `Kept`."""
        for name in list(self._views):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._views.remove(name)
        with contextlib.suppress(Exception):  # the session may have ended, and its views with it
            self._spark.catalog.dropTempView(name)  # which uncaches it


def _in_order(pieces: DataFrame) -> DataFrame:
    """The pieces of a value one after the other, and values of equal numbers."""
    return pieces.sortWithinPartitions("number", "sender", F.col("rest").desc())


def _task(
    reader: Reader, functions: Sequence[OnPairs]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Function for ``mapInArrow``. Runs on executors."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        pairs: Iterable[Pair] = reader(batches)
        for function in functions:
            pairs = function(pairs)
        yield from _pieces_of(pairs, 0 if context is None else context.partitionId())

    return run


def _pieces_of(pairs: Iterable[Pair], task: int) -> Iterator[pa.RecordBatch]:
    """A batch for each piece of the pickled values."""
    for sender, (number, value) in enumerate(pairs, task << SENDERS):
        data = memoryview(pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))
        starts = range(0, len(data), PIECE_BYTES)
        for rest, start in zip(reversed(range(len(starts))), starts, strict=True):
            columns = {
                "number": [number],
                "sender": [sender],
                "rest": [rest],
                "value": [data[start : start + PIECE_BYTES]],
            }
            yield pa.RecordBatch.from_pydict(columns, ARROW_SCHEMA)


def _read_pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[Pair]:
    """Pairs of their pieces."""
    pieces: list[bytes] = []
    for batch in batches:
        for number, rest, value in zip(
            *[batch.column(name).to_pylist() for name in ("number", "rest", "value")], strict=True
        ):
            pieces.append(value)
            if rest == 0:
                yield number, pickle.loads(b"".join(pieces))
                pieces.clear()


def _only(partitions: frozenset[int], reader: Reader) -> Reader:
    """Pairs of some partitions; the rows of others are not asked for. Runs on executors."""

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[Pair]:
        context = TaskContext.get()
        if context is None or context.partitionId() in partitions:
            yield from reader(batches)

    return read


def _nothing(batches: Iterable[pa.RecordBatch]) -> Iterator[Pair]:
    """No pairs, once the rows are read. Runs on executors."""
    for _ in batches:
        pass
    return iter(())
