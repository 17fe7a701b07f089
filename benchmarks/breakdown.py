"""Where a fit's seconds go, beside what Spark alone takes: ``python -m benchmarks.breakdown [case ...]``.

For each case, medians of alternating runs of

- the fit, split into ingest, pilot (training in the driver before or between rounds), rounds and the rest,
- the least that Spark takes to hand the same columns to Python: a job whose tasks drop every Arrow batch,
- an empty Spark job over as many tasks, of which a fit has one a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from benchmarks.cases import CASES, Case
from benchmarks.rivals import estimator_of
from benchmarks.session import local_session
from sparkgd.engine.classic.arrow_batches import bounded_batches
from sparkgd.engine.classic.executors import PAIR_SCHEMA
from sparkgd.ml.columns import InputColumns, select_input

RESULTS = Path(__file__).parent / "results"
HEAD = """Seconds, medians of {repeats} alternating runs on local[2], cached vectors. *Arrow* is a job that only hands
the columns to Python: what ingest cannot fall below. *Jobs* is the fit's number of rounds times an empty job: what
rounds cannot fall below.

| case | fit | ingest | Arrow | pilot | rounds | of number | jobs | the rest |
|---|---|---|---|---|---|---|---|---|
"""


def drop(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read everything, keep nothing."""
    for _ in batches:
        pass
    return iter(())


def seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def row_of(case: Case, frame: DataFrame, repeats: int) -> str:
    """A row of the table."""
    estimator, context = estimator_of(case), frame.sparkSession.sparkContext
    tasks = context.defaultParallelism
    columns = select_input(frame, InputColumns("features", "label")).coalesce(tasks)
    empty = context.parallelize(range(tasks), tasks).cache()
    runs: dict[str, list[float]] = {name: [] for name in ("fit", "ingest", "Arrow", "pilot", "rounds", "job")}
    count = 0
    for run in range(repeats + 2):
        began = time.perf_counter()
        summary = estimator.fit(frame).summary
        whole = time.perf_counter() - began
        with bounded_batches(columns):
            arrow = seconds(lambda: columns.mapInArrow(drop, PAIR_SCHEMA).rdd.count())
        job = statistics.median(
            seconds(lambda: empty.mapPartitions(lambda rows: [len(list(rows))]).collect()) for _ in range(5)
        )
        if run < 2:
            continue
        found = (whole, summary.ingestSeconds, arrow, summary.pilotSeconds, sum(summary.secondsPerRound), job)
        for times, value in zip(runs.values(), found, strict=True):
            times.append(value)
        count = summary.totalRounds
    median = {name: statistics.median(times) for name, times in runs.items()}
    rest = median["fit"] - median["ingest"] - median["pilot"] - median["rounds"]
    cells = [median["fit"], median["ingest"], median["Arrow"], median["pilot"], median["rounds"]]
    jobs = 0.0 if summary.execution == "driver" else count * median["job"]
    return " | ".join(
        [f"| {case.name}", *(f"{cell:.2f}" for cell in cells), str(count), f"{jobs:.2f}", f"{rest:.2f} |"]
    )


def main() -> None:
    """Print the table, and write it where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", help="words of the names of the cases to run; default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", help="name of the result file; default: none is written")
    options = parser.parse_args()
    spark = local_session("local[2]")
    rows = []
    for case in CASES:
        if options.case and not any(word in case.name for word in options.case):
            continue
        try:
            frame = case.load(spark).cache()
        except FileNotFoundError as error:
            print(f"{case.name}: left out: {error}", flush=True)
            continue
        frame.count()
        rows.append(row_of(case, frame, options.repeats))
        print(rows[-1], flush=True)
        frame.unpersist()
    spark.stop()
    if options.output:
        table = HEAD.format(repeats=options.repeats) + "\n".join(rows) + "\n"
        (RESULTS / f"{options.output}.md").write_text(table)


if __name__ == "__main__":
    main()
