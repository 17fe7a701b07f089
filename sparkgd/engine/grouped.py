"""Vectors of rows summed by a column of groups, and the spread of these sums: what clustered errors are made of.

    rows -> sums by group of a task's rows -> shuffle by group -> outer products of whole sums -> driver

Python tells groups apart only to add up what is equal beyond doubt. Which groups are one is Spark's own word, so the
column may have every type by which Spark groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkgd.data.columns import RowBatch, read_batch
from sparkgd.engine.interface import executors_of
from sparkgd.kernels import Block
from sparkgd.kernels.groups import sums_by_group

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Array: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]
InArrow: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]

GROUP = "group"
"""Column of groups, beside those of `sparkgd.data.columns`."""

HELD_BYTES = 8 << 20
"""Sums that a task holds before it gives them away, however many groups there are."""

DRIVER_BYTES = 256 << 20
"""Most that the driver receives of all tasks, where one matrix is not more already."""


class VectorsOfRows(Protocol):
    """What is summed by group."""

    @property
    def size(self) -> int:
        """Length k of a vector."""
        ...

    def __call__(self, block: Block, groups: npt.NDArray[np.intp], count: int) -> tuple[Array, Counts]:
        """Sums (count, k) of the vectors of each group's rows, and how many rows of each count. Runs on executors."""
        ...


@dataclass(frozen=True)
class GroupSpread:
    """What is known of all groups.

    Attributes
    ----------
    spread : ndarray (k, k)
        ``sum_g s_g s_g^T`` for the sum s_g of each group.
    groups : int
        How many there are.
    without : int
        Rows whose group is null.
    """

    spread: Array
    groups: int
    without: int


def spread_of_groups(df: DataFrame, vectors: VectorsOfRows, description: str) -> GroupSpread:
    """Read the rows once; tasks hold `HELD_BYTES` of sums and one matrix (k, k), besides a batch of rows.

    Parameters
    ----------
    df : DataFrame
        Columns of `sparkgd.data.columns`, and `GROUP`.
    vectors : VectorsOfRows
    description : str
        Of the job.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.types import BinaryType, LongType, StructField, StructType

    executors, size = executors_of(df.sparkSession), vectors.size
    schema = StructType(
        [df.select(GROUP).schema[0], StructField("rows", LongType()), StructField("sums", BinaryType())]
    )
    partial = df.mapInArrow(_summer(vectors), schema)
    # Spark finds equal groups and sorts by them; the number of a row in its group says where the next one begins.
    number = F.row_number().over(Window.partitionBy(GROUP).orderBy(GROUP))
    together = partial.repartition(_tasks(df, size), GROUP).select(
        (number == 1).alias("begins"), F.col(GROUP).isNotNull().alias("known"), "rows", "sums"
    )
    with executors.described(description), executors.outlived_by_no_task():
        found = together.mapInArrow(_spreader(size), "spread binary, groups long, without long").collect()
    total = np.zeros((size, size))
    for row in found:
        total += np.frombuffer(row.spread).reshape(size, size)
    return GroupSpread(total, sum(row.groups for row in found), sum(row.without for row in found))


def _tasks(df: DataFrame, size: int) -> int:
    """Tasks that multiply sums; each sends the driver a matrix."""
    shuffled = int(df.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return max(
        1, min(shuffled, 2 * (executors_of(df.sparkSession).slots or shuffled), DRIVER_BYTES // (8 * size * size + 1))
    )


def _summer(vectors: VectorsOfRows) -> InArrow:
    """Function for ``mapInArrow``: sums by group of a task's rows, some groups more than once. Runs on executors."""

    def sum_by_group(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held: GroupSums | None = None
        for batch in batches:
            if batch.num_rows == 0:
                continue
            new = group_sums(batch, vectors)
            held = new if held is None else held.plus(new)
            if held.sums.nbytes > HELD_BYTES:
                yield held.batch()
                held = None
        if held is not None:
            yield held.batch()

    return sum_by_group


@dataclass(frozen=True)
class GroupSums:
    """Sums of some groups.

    Attributes
    ----------
    groups : pyarrow Array (g,)
        Of any type.
    rows : ndarray (g,) of int64
        How many rows are in each sum.
    sums : ndarray (g, k)
    """

    groups: Any
    rows: Counts
    sums: Array

    def plus(self, other: GroupSums) -> GroupSums:
        """The sums of both."""
        codes, groups = numbered(pa.concat_arrays([self.groups, other.groups]))
        rows, sums = np.concatenate([self.rows, other.rows]), np.vstack([self.sums, other.sums])
        return GroupSums(
            groups, np.bincount(codes, rows, len(groups)).astype(np.int64), sums_by_group(sums, codes, len(groups))
        )

    def batch(self) -> pa.RecordBatch:
        """For Spark: groups, rows and the bytes of the sums."""
        sums = pa.array([row.tobytes() for row in self.sums], pa.binary())
        return pa.RecordBatch.from_arrays([self.groups, pa.array(self.rows), sums], [GROUP, "rows", "sums"])


def group_sums(batch: pa.RecordBatch, vectors: VectorsOfRows) -> GroupSums:
    """Sums by group of a batch of rows that were found to have no nulls; groups of rows without weight are left out."""
    rows = read_batch(batch.select([name for name in batch.schema.names if name != GROUP]))
    codes, groups = numbered(batch.column(GROUP))
    if rows.rows != len(codes):
        raise ValueError("rows have nulls that were not there before; cache the DataFrame, so that its rows stay")
    sums, counts = vectors(_block(rows), codes, len(groups))
    kept = counts > 0
    return GroupSums(groups.filter(pa.array(kept)), counts[kept], sums[kept])


def _block(rows: RowBatch) -> Block:
    """The rows as they are stored, dense or sparse."""
    return rows.block(bool(rows.dense_rows.all()), np.dtype(np.float64))


def numbered(groups: Any) -> tuple[npt.NDArray[np.intp], Any]:
    """Number of each entry's group in an Arrow array, and one entry of each group; null is one too.

    Structs and arrays have no hash in Arrow; the text of their Python values tells them apart.
    """
    keys = pa.array([repr(value) for value in groups.to_pylist()]) if pa.types.is_nested(groups.type) else groups
    codes = keys.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False).astype(np.intp)
    first = np.unique(codes, return_index=True)[1]
    return codes, groups.take(pa.array(first))


def _spreader(size: int) -> InArrow:
    """Function for ``mapInArrow``: the matrix of a task's groups, whose sums come one group after the other.

    Runs on executors.
    """

    def spread(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total, unfinished = np.zeros((size, size)), np.zeros(size)
        groups = without = 0
        for batch in batches:
            if batch.num_rows == 0:
                continue
            begins, known, rows = (
                batch.column(name).to_numpy(zero_copy_only=False) for name in ("begins", "known", "rows")
            )
            sums = np.frombuffer(b"".join(batch.column("sums").to_pylist())).reshape(batch.num_rows, size)
            number = np.cumsum(begins.astype(bool))
            whole = sums_by_group(sums, number, number[-1] + 1)
            whole[0] += unfinished
            total += whole[:-1].T @ whole[:-1]
            unfinished = whole[-1]
            groups += int(np.count_nonzero(begins & known))
            without += int(rows[~known].sum())
        total += np.outer(unfinished, unfinished)
        if groups or without:
            found = {"spread": [total.tobytes()], "groups": [groups], "without": [without]}
            yield pa.RecordBatch.from_pydict(found)

    return spread
