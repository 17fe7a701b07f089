"""How large the Arrow batches are in which Spark hands over rows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sparkgd.engine.classic.known_size import is_small, mean_row_bytes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MAX_BATCH_BYTES = "spark.sql.execution.arrow.maxBytesPerBatch"

BATCH_BYTES = 256 << 20
"""Most that an Arrow batch may take where it has to be measured."""

UNMEASURED_BYTES = 1 << 30
"""Most that the rows may take together where batches are not measured: no batch takes more, whatever the rows."""

UNMEASURED = (1 << 31) - 1
"""What Spark reads as no limit."""

_settings_lock = threading.Lock()


@contextlib.contextmanager
def bounded_batches(df: DataFrame) -> Iterator[None]:
    """Arrow batches of at most `BATCH_BYTES` for an RDD of ``df`` made in the body, or of the user's own lower limit.

    A record count cannot bound a batch of rows of unknown width. An RDD keeps the settings with which it was made;
    those of the session are as before afterwards.
    """
    conf = df.sparkSession.conf
    with _settings_lock:
        own = _own_setting(df.sparkSession, MAX_BATCH_BYTES)
        limit = _batch_limit(df, own is not None)
        if limit is None:
            yield
            return
        conf.set(MAX_BATCH_BYTES, str(limit))
        try:
            yield
        finally:
            if own is None:
                conf.unset(MAX_BATCH_BYTES)
            else:
                conf.set(MAX_BATCH_BYTES, own)


def _batch_limit(df: DataFrame, is_own: bool) -> int | None:
    """The limit to set; None where that of the session will do."""
    conf = df.sparkSession._jsparkSession.sessionState().conf()
    allowed = int(conf.arrowMaxBytesPerBatch())
    if not is_own and _stay_within(df, int(conf.arrowMaxRecordsPerBatch()), min(allowed, BATCH_BYTES)):
        return UNMEASURED
    return BATCH_BYTES if allowed > BATCH_BYTES else None


def _stay_within(df: DataFrame, records: int, allowed: int) -> bool:
    """Whether batches of so many records can be expected to take at most ``allowed`` bytes without being measured.

    Spark measures a batch after every row, for a tenth of ingest.
    """
    if is_small(df, allowed):
        return True
    return records > 0 and records * mean_row_bytes(df) <= allowed and is_small(df, UNMEASURED_BYTES)


def _own_setting(spark: SparkSession, key: str) -> str | None:
    """A setting as somebody has made it; None where it is Spark's default."""
    return spark.conf.get(key) if spark._jsparkSession.sessionState().conf().contains(key) else None
