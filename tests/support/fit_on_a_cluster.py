"""Script of tests/engine/test_faults.py: three fits on ``local-cluster[2,1,1024]``, two of them disturbed.

Prints one JSON line: for each victim the result of the fit during which it was killed.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import tempfile
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.training.loop import Record
from tests.support.processes import descendants

COMMANDS = {"python worker": "pyspark.daemon", "executor": "CoarseGrainedExecutorBackend"}


def count_blocks(scratch: str) -> int:
    """Directories of blocks of all fits and executors."""
    return len(glob.glob(f"{scratch}/**/sparkgd-*", recursive=True))


class Killer:
    """Callback that kills one process of a kind after the third iteration, and counts the block directories."""

    def __init__(self, victim: str, scratch: str) -> None:
        self.victim = victim
        self.scratch = scratch
        self.killed = self.blocks = 0

    def __call__(self, record: Record) -> None:
        self.blocks = max(self.blocks, count_blocks(self.scratch))
        if record.iteration == 3 and not self.killed and self.victim in COMMANDS:
            found = descendants(COMMANDS[self.victim])
            if found:
                # The youngest: workers are forked from daemons.
                os.kill(found[-1], signal.SIGKILL)
                self.killed = found[-1]


def main() -> None:
    """Run the three fits."""
    scratch = tempfile.mkdtemp()
    os.environ["SPARK_WORKER_DIR"] = scratch
    spark = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", scratch)
        .config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
        .config("spark.python.unix.domain.socket.enabled", "true")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    columns = [F.sin(F.col("id") * (j + 1.3) + j).alias(f"x{j}") for j in range(5)]
    label = (F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9) > 0.3).cast("double")
    df = spark.range(20_000, numPartitions=4).select(*columns, label.alias("label"))
    results: dict[str, dict[str, Any]] = {}
    for victim in ("nothing", *COMMANDS):
        killer = Killer(victim, scratch)
        estimator = LogisticRegression(
            featuresCols=[f"x{j}" for j in range(5)], solver="l-bfgs", regParam=1e-4, tol=1e-10, execution="cluster"
        )
        model = estimator.setCallbacks([killer]).fit(df)
        results[victim] = {
            "killed": killer.killed,
            "coefficients": [float(x).hex() for x in [*model.coefficients, model.intercept]],
            "objectives": [x.hex() for x in model.summary.objectiveHistory],
            "status": model.summary.status,
            "blocks left": count_blocks(scratch),
            "blocks seen": killer.blocks,
        }
    spark.stop()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
