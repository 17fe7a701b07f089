"""Which rows a model is trained on and which it is judged by: fold numbers as a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import numpy as np
import pandas as pd
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from sparkgd.ml.errors import InvalidDataError
from sparkgd.ml.lookup import find, wrong_type

MOST_FOLDS = 254
"""A block keeps the number of a row's fold in a byte; the last one is that of rows that no model leaves out."""

NEVER = 255
"""The fold of rows that every model is trained on."""

REFUSED = re.compile(r"column .+ holds .+; fold numbers are the integers from 0 to \d+")
"""What a job fails with that comes across a value which is no fold number."""

GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
"""Steps of so much around a circle of length 1 fill all of its parts evenly, whenever they stop."""


def fold_name() -> str:
    """A name for the column that no other has."""
    return f"sparkgd_fold_{uuid4().hex[:8]}"


def random_folds(df: DataFrame, name: str, folds: int, seed: int) -> DataFrame:
    """Folds of about equal size, row by row those of ``pyspark.ml.tuning.CrossValidator`` with the same seed."""
    draw, width = f"{name}_draw", 1.0 / folds
    drawn = df.select("*", F.rand(seed).alias(draw))
    fold: Column = F.lit(NEVER)  # rounding may leave a gap below 1
    for number in reversed(range(folds)):
        inside = (drawn[draw] >= number * width) & (drawn[draw] < (number + 1) * width)
        fold = F.when(inside, number).otherwise(fold)
    return drawn.withColumn(name, fold).drop(draw)


def random_split(df: DataFrame, name: str, train_ratio: float, seed: int) -> DataFrame:
    """Fold 0 to judge by, the same rows as ``pyspark.ml.tuning.TrainValidationSplit`` takes with the same seed."""
    draw = f"{name}_draw"
    drawn = df.select("*", F.rand(seed).alias(draw))
    return drawn.withColumn(name, F.when(drawn[draw] >= train_ratio, 0).otherwise(NEVER)).drop(draw)


def given_folds(df: DataFrame, name: str, column: str, folds: int) -> DataFrame:
    """The folds that a column numbers; a value that is none of them fails the job that comes across it.

    `refusals_of_jobs` tells that in words.

    Raises
    ------
    InvalidDataError
        If there is no such column, or it does not hold numbers.
    """
    found = find(df, column, "foldCol")
    if not found.is_number:
        raise wrong_type("foldCol", column, found.kind, "a number")
    given = found.column.cast("double")
    is_fold = (given >= 0) & (given < folds) & (given == F.floor(given))
    value = F.coalesce(found.column.cast("string"), F.lit("null"))
    allowed = F.lit(f"; fold numbers are the integers from 0 to {folds - 1}")
    refused = F.raise_error(F.concat(F.lit(f"column {column!r} holds "), value, allowed))
    return df.withColumn(name, F.when(is_fold, given.cast("int")).otherwise(refused.cast("int")))


@contextmanager
def refusals_of_jobs() -> Iterator[None]:
    """The failure of a job by a value that is no fold number, as an error of the data.

    Raises
    ------
    InvalidDataError
    """
    try:
        yield
    except Exception as error:  # Spark's interfaces have no error of failed jobs in common
        refusal = REFUSED.search(str(error))
        if refusal is None:
            raise
        raise InvalidDataError(refusal.group()) from None


def stratified_folds(df: DataFrame, name: str, label: str, shares: tuple[float, ...], seed: int) -> DataFrame:
    """Folds that have their shares of the rows of every label, up to a row or two of each in a partition.

    Parameters
    ----------
    df : DataFrame
    name : str
        Of the new column.
    label : str
    shares : tuple of float
        Of the folds; what they lack of 1 is the share of rows that no model leaves out.
    seed : int

    Raises
    ------
    InvalidDataError
        If there is no such column.
    """
    deal = pandas_udf(_dealer(shares, seed), "int")  # type: ignore[call-overload]
    return df.withColumn(name, deal(find(df, label, "labelCol").column.cast("double")))


def _dealer(shares: tuple[float, ...], seed: int) -> Callable[[Iterator[pd.Series]], Iterator[pd.Series]]:
    """Function for ``pandas_udf``: the folds of rows by their labels. Runs on executors."""

    def deal(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        context = TaskContext.get()
        partition = 0 if context is None else context.partitionId()
        dealt: dict[float, int] = {}
        for batch in batches:
            labels = batch.to_numpy(dtype=np.float64, na_value=0.0)  # the fit will refuse rows without a label
            folds = np.empty(len(labels), dtype=np.int32)
            for label in np.unique(labels):
                rows = np.flatnonzero(labels == label)
                first = dealt.get(label, 0)
                folds[rows] = dealt_folds(first, len(rows), shares, (seed, partition, label))
                dealt[label] = first + len(rows)
            yield pd.Series(folds)

    return deal


def dealt_folds(first: int, count: int, shares: tuple[float, ...], key: tuple[int, int, float]) -> np.ndarray:
    """Folds of the rows of one label in one partition, numbers ``first`` to ``first + count``.

    Row n gets the fold in whose part of the circle ``start + n * golden ratio`` lies, the start being random: of any
    consecutive rows each fold has its share, up to one or two (Kuipers and Niederreiter, 1974: Uniform distribution of
    sequences).

    Parameters
    ----------
    first, count : int
    shares : tuple of float
    key : tuple
        Seed, partition and label, which decide the start.
    """
    seed, partition, label = key
    bits = int(np.float64(label).view(np.uint64))
    start = np.random.default_rng([seed & (2**64 - 1), partition, bits]).uniform()
    places = (start + (first + np.arange(count)) * GOLDEN) % 1.0
    folds = np.searchsorted(np.cumsum(shares), places, side="right")
    is_left = folds >= len(shares)
    if sum(shares) > 1.0 - 1e-9:  # the shares add up to 1, but for rounding
        return np.where(is_left, len(shares) - 1, folds).astype(np.int32)
    return np.where(is_left, NEVER, folds).astype(np.int32)
