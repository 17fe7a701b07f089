"""What a fit could leave behind in a Spark application: cached RDDs, block files, broadcasts."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession


def traces(spark: SparkSession) -> dict[str, set[str]]:
    """Everything that a fit must remove again."""
    context = spark.sparkContext
    roots = context.getConf().get("spark.local.dir") or ""
    files = [path for root in roots.split(",") for path in glob.glob(f"{root}/**/sparkgd-*", recursive=True)]
    return {
        "cached RDDs": {str(key) for key in context._jsc.getPersistentRDDs()},
        "block directories": set(files),
        "broadcast files": {path for path in glob.glob(f"{context._temp_dir}/*") if os.path.isfile(path)},
    }


@contextmanager
def nothing_left(spark: SparkSession) -> Iterator[None]:
    """Assert that the body, also when it fails, leaves the application as it found it."""
    before = traces(spark)
    try:
        yield
    finally:
        after = traces(spark)
        assert {kind: after[kind] - before[kind] for kind in after} == {kind: set() for kind in after}
