"""Blocks several times larger than the memory of the whole process group: ``python -m benchmarks.memory_limit``.

A fit runs in a child: driver, JVM and Python workers in one tree. Two ways to limit it:

- Every process of the tree gets ``RLIMIT_DATA``, which bounds its private writable memory (heap, buffers; not mapped
  files, code or page cache) and needs no privilege. Their sum is what the tree can hold that cannot be dropped.
  ``RLIMIT_AS`` would count mapped files and what the JVM merely reserves; ``RLIMIT_RSS`` has no effect on Linux.
- A limit of a control group also bounds the pages of mapped files that are in memory. Making one takes privileges, so
  start the script in one where there are: ``systemd-run --user --scope -p MemoryMax=1G -p MemorySwapMax=0 python -m
  benchmarks.memory_limit --rows 6000000``.

With ``--blockAccess read`` the resident set itself, mapped pages included, stays far below the blocks without any
control group; with ``map`` it may grow to the blocks' size while memory is free, as the page cache does. The script
checks that the fit converges, and that the tree's resident set without mapped files (with them, for ``read``) stayed
below a third of the blocks.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.memory import PeakMemory

MEGABYTE = 1 << 20


def fit(options: argparse.Namespace) -> None:
    """In the child: a fit whose data are made by the JVM, row by row."""
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as F

    from sparkgd.classification import LogisticRegression

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", f"{options.heap}m")
        .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:MaxDirectMemorySize=128m -Xss512k")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    features = F.array(*[(F.col("id") * (0.6180339887 * (j + 1))) % 1.0 for j in range(options.columns)])
    label = (F.randn(1) + F.col("id") * 0.6180339887 % 1.0 > 0.5).cast("double")
    df = spark.range(options.rows, numPartitions=2).select(features.alias("features"), label.alias("label"))
    model = LogisticRegression(
        solver="l-bfgs", regParam=1e-2, maxIter=10, execution="cluster", blockAccess=options.blockAccess
    ).fit(df)
    blocks = sum(part.bytes for part in model.summary.partitionStats)
    print(json.dumps({"status": model.summary.status, "blocks": blocks, "coefficients": float(model.coefficients[0])}))
    spark.stop()


def limited(options: argparse.Namespace) -> tuple[dict[str, object], PeakMemory]:
    """Run the child under ``RLIMIT_DATA``; its answer and the peak of its tree's memory."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (options.limit * MEGABYTE, options.limit * MEGABYTE))

    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-m", "benchmarks.memory_limit", "--child"]
    for name in ("rows", "columns", "heap", "blockAccess"):
        command += [f"--{name}", str(getattr(options, name))]
    with PeakMemory() as peak:
        run = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=limit, check=False)
    if run.returncode:
        raise SystemExit(f"the fit failed:\n{run.stderr[-4000:]}")
    return json.loads(run.stdout.splitlines()[-1]), peak


def main() -> None:
    """Run a fit under the limit and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--heap", type=int, default=512, help="JVM heap in MB; Spark wants 450 at least")
    parser.add_argument("--limit", type=int, default=900, help="RLIMIT_DATA of each process in MB")
    parser.add_argument("--blockAccess", choices=("map", "read"), default="map")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fit(options)
        return
    answer, peak = limited(options)
    blocks = int(str(answer["blocks"])) / MEGABYTE
    counted = peak.megabytes if options.blockAccess == "read" else peak.private_megabytes
    print(
        f"{options.blockAccess}: blocks {blocks:.0f} MB, {answer['status']}; the tree's peak {peak.megabytes:.0f} MB, "
        f"{peak.private_megabytes:.0f} MB of it not files; blocks are {blocks / counted:.1f} times what counts"
    )
    if blocks < 3 * counted:
        raise SystemExit("more memory was resident than a third of the blocks")


if __name__ == "__main__":
    main()
