"""Which engine a DataFrame's rows go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkgd.engine.base import Engine, Packing
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.driver import DriverEngine
from sparkgd.engine.interface import executors_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SMALL_BYTES = 16 << 20
"""Data that Spark knows to be at most so large are packed in the driver process itself."""


def packed_rows(df: DataFrame, packing: Packing, description: str) -> Engine:
    """The rows of a DataFrame, packed where rounds over them are fastest, or where the user wants them.

    Parameters
    ----------
    df : DataFrame
        Columns as in `sparkgd.data.columns`.
    packing : Packing
    description : str
        Of Spark jobs.
    """
    if packing.execution != "cluster" and executors_of(df.sparkSession).know_small(df, SMALL_BYTES):
        return DriverEngine.pack(df, packing, description)
    engine = ClusterEngine.pack(df, packing, description)
    return engine.gathered() if engine.num_bytes <= engine.most_gathered else engine
