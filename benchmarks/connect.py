"""Warm fits over Spark Connect beside those of classic Spark: ``python -m benchmarks.connect``.

A process knows Spark in one way only, so each has one of its own; both stay up, and their fits alternate. The server of
Spark Connect is on this machine too. Where blocks are the same, so are the bits of coefficients; what classic Spark
knows to be small is packed in its driver as one block, and over Spark Connect by executors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WAYS = ("classic", "connect")
WARM_UP = 10
"""Fits that are not timed: workers start, and the server's JVM compiles what plans queries, which takes dozens."""

CASES = {"rounds over executors": (300_000, 50), "rounds in the driver": (20_000, 20)}


def main() -> None:
    """Run the cases and print the ratios; or be one of the processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="timed fits of each way")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        _answer(options.way)
        return
    processes = {way: _started(way) for way in WAYS}
    try:
        for name, (rows, columns) in CASES.items():
            _compare(name, processes, rows, columns, options.repeats)
    finally:
        for process in processes.values():
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _started(way: str) -> subprocess.Popen[str]:
    """A process that fits whenever it reads a line."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.connect", "--way", way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "SPARK_LOCAL_IP": "127.0.0.1"},
    )


def _compare(name: str, processes: dict[str, subprocess.Popen[str]], rows: int, columns: int, repeats: int) -> None:
    seconds: dict[str, list[float]] = {way: [] for way in processes}
    coefs: set[str] = set()
    for number in range(WARM_UP + repeats):
        for way, process in processes.items():
            assert process.stdin is not None and process.stdout is not None
            print(rows, columns, file=process.stdin, flush=True)
            took, coef = process.stdout.readline().split()
            coefs.add(coef)
            if number >= WARM_UP:
                seconds[way].append(float(took))
    medians = {way: statistics.median(each) for way, each in seconds.items()}
    same = "the same bits" if len(coefs) == 1 else "other last bits"
    print(
        f"{name}, {rows} x {columns}: classic {medians['classic']:.2f} s, connect {medians['connect']:.2f} s, ratio "
        f"{medians['connect'] / medians['classic']:.2f}, {same}",
        flush=True,
    )


def _answer(way: str) -> None:
    """For each line with numbers of rows and columns: the seconds of a fit, and its coefficients."""
    from sparkgd.classification import LogisticRegression

    spark, known = _session(way), dict[tuple[int, int], Any]()
    for line in sys.stdin:
        rows, columns = map(int, line.split())
        if (rows, columns) not in known:
            known[rows, columns] = _frame(spark, rows, columns)
        estimator = LogisticRegression(featuresCols=[f"x{j}" for j in range(columns)])
        began = time.perf_counter()
        model = estimator.fit(known[rows, columns])
        took = time.perf_counter() - began
        print(took, model.coefficients.toArray().tobytes().hex(), flush=True)
    spark.stop()


def _session(way: str) -> Any:
    """Settings are the same, so that what differs is the way."""
    from benchmarks.session import local_remote_session, local_session

    return local_session("local[2]") if way == "classic" else local_remote_session("local[2]")


def _frame(spark: Any, rows: int, columns: int) -> Any:
    """Cached rows of noise, and a label that depends on them."""
    from pyspark.sql import functions as F

    frame = spark.range(0, rows, 1, 2).select(*[F.randn(j).alias(f"x{j}") for j in range(columns)])
    raw = " + ".join(f"{(-1) ** j / (j + 1)} * x{j}" for j in range(columns))
    frame = frame.withColumn("label", F.expr(f"cast(rand(99) < 1 / (1 + exp(-({raw}))) as double)")).cache()
    frame.count()
    return frame


if __name__ == "__main__":
    main()
