"""Ingest and transform against their floors: ``python -m benchmarks.costs``.

Ingest is compared with handing the same rows to a Python function through Arrow and doing nothing with them; transform
with MLlib's own. The two alternate; medians are quoted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.ml.classification import LogisticRegression as MLlibLogisticRegression
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame

from benchmarks.cases import synthetic
from benchmarks.session import local_session
from sparkgd.classification import LogisticRegression
from sparkgd.engine.base import Packing
from sparkgd.engine.ingest import ingest
from sparkgd.ml.columns import InputColumns, select_input

REPEATS = 7


def consume(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read every batch and count the rows."""
    yield pa.RecordBatch.from_pydict({"rows": [sum(batch.num_rows for batch in batches)]})


def pack(frame: DataFrame) -> None:
    """Ingest, and remove the blocks again."""
    ingest(select_input(frame, InputColumns("features", "label")), Packing(), -1).release()


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """Print the ratio of the medians of alternating runs after a warm-up of both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(REPEATS + 2):
        for runs, action in zip(seconds, (ours, theirs), strict=True):
            began = time.perf_counter()
            action()
            if run >= 2:
                runs.append(time.perf_counter() - began)
    mine, other = map(statistics.median, seconds)
    print(f"{name}: {mine:.3f} s, floor {other:.3f} s, ratio {mine / other:.2f}", flush=True)


def main() -> None:
    """Both comparisons on 500,000 rows of 100 columns, cached as vectors."""
    spark = local_session("local[2]")
    frame = synthetic(500_000, 100, "class")(spark).cache()
    frame.count()
    arrays = frame.select(vector_to_array("features").alias("features"), "label")
    compare("ingest", lambda: pack(frame), lambda: arrays.mapInArrow(consume, "rows long").collect())
    model, rival = LogisticRegression().fit(frame), MLlibLogisticRegression(maxIter=5).fit(frame)
    sink = "noop"
    compare(
        "transform",
        lambda: model.transform(frame).write.format(sink).mode("overwrite").save(),
        lambda: rival.transform(frame).write.format(sink).mode("overwrite").save(),
    )
    spark.stop()


if __name__ == "__main__":
    main()
