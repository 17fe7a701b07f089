"""Script of tests/engine/test_faults.py: fits of 40 rounds on ``local-cluster[2,1,1024]``, disturbed in many ways.

Prints one JSON line: for each disturbance the result of the fit that met it.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from threading import Timer
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.training.loop import Record
from tests.support.processes import descendants

DAEMON, EXECUTOR = "pyspark.daemon", "CoarseGrainedExecutorBackend"
EXECUTORS = 2
ROUNDS = 40
PATIENCE = 60.0
PAUSE = 3.0
"""Seconds."""


class Cluster:
    """A cluster of two executors, and what can happen to it; each method tells whether it did."""

    def __init__(self, master: str = "local-cluster[2,1,1024]", scratch: str | None = None) -> None:
        self.scratch = scratch or tempfile.mkdtemp()
        os.environ["SPARK_WORKER_DIR"] = self.scratch
        self.spark = (
            SparkSession.builder.master(master)
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.local.dir", self.scratch)
            .config("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"])
            .config("spark.python.unix.domain.socket.enabled", "true")
            .config("spark.speculation", "true")
            .config("spark.decommission.enabled", "true")
            .getOrCreate()
        )
        self.spark.sparkContext.setLogLevel("OFF")

    def blocks(self) -> list[str]:
        """Directories of blocks of all fits and executors."""
        return glob.glob(f"{self.scratch}/**/sparkgd-*", recursive=True)

    def nothing(self) -> bool:
        """The undisturbed fit."""
        return True

    def kill_worker(self) -> bool:
        """The youngest Python process: workers are forked from daemons."""
        return self._signal(DAEMON, -1, signal.SIGKILL)

    def kill_daemon(self) -> bool:
        """The oldest Python process, from which an executor's workers are forked."""
        return self._signal(DAEMON, 0, signal.SIGKILL)

    def kill_executor(self) -> bool:
        """The youngest executor."""
        return self._signal(EXECUTOR, -1, signal.SIGKILL)

    def pause_worker(self) -> bool:
        """A worker stands still for some seconds, twenty times as long as a round takes."""
        paused = descendants(DAEMON)[-1:]
        for worker in paused:
            os.kill(worker, signal.SIGSTOP)
            Timer(PAUSE, os.kill, (worker, signal.SIGCONT)).start()
        return bool(paused)

    def delete_blocks(self) -> bool:
        """All block files, under living executors."""
        found = self.blocks()
        for directory in found:
            shutil.rmtree(directory, ignore_errors=True)
        return bool(found)

    def decommission(self) -> bool:
        """An executor is asked to leave, as a cluster manager does that takes its machine away."""
        context = self.spark.sparkContext
        info = context._jvm.org.apache.spark.scheduler.ExecutorDecommissionInfo("by the test", self._nothing())
        backend = context._jsc.sc().schedulerBackend()
        return bool(backend.decommissionExecutor(self._executors()[0], info, True, False))

    def add(self) -> bool:
        """Another executor in place of the one that left: Spark forgot on that occasion that it had two."""
        return bool(self.spark.sparkContext._jsc.sc().requestExecutors(EXECUTORS)) and self.is_whole()

    def is_whole(self) -> bool:
        """Whether there are two executors, none of them about to leave, at once or after some patience."""
        backend = self.spark.sparkContext._jsc.sc().schedulerBackend()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self._executors()
            if len(found) == EXECUTORS and all(backend.isExecutorActive(name) for name in found):
                return True
            time.sleep(0.1)
        return False

    def _nothing(self) -> Any:
        return self.spark.sparkContext._jvm.scala.Option.empty()

    def _executors(self) -> list[str]:
        status = self.spark.sparkContext._jsc.sc().schedulerBackend().getExecutorIds()
        return sorted(status.apply(number) for number in range(status.size()))

    @staticmethod
    def _signal(word: str, which: int, kind: signal.Signals) -> bool:
        found = descendants(word)
        if found:
            os.kill(found[which], kind)
        return bool(found)


FAULTS: dict[str, dict[int, Callable[[Cluster], bool]]] = {
    "nothing": {3: Cluster.nothing},
    "python worker killed": {3: Cluster.kill_worker},
    "python daemon killed": {3: Cluster.kill_daemon},
    "block files deleted": {3: Cluster.delete_blocks},
    "python worker paused": {3: Cluster.pause_worker},
    "executor killed": {3: Cluster.kill_executor},
    "executor killed twice": {3: Cluster.kill_executor, 17: Cluster.kill_executor},
    "executor decommissioned, another added": {3: Cluster.decommission, 17: Cluster.add},
}
"""What happens after which iteration."""

WHOLE = 36
"""Iteration after which the cluster is whole again: what a lost executor has left is removed by those beside it."""


class Disturber:
    """Callback that lets a fault happen, waits for the cluster to recover, and counts the block directories."""

    def __init__(self, cluster: Cluster, faults: dict[int, Callable[[Cluster], bool]]) -> None:
        self._cluster, self._faults = cluster, faults
        self.happened: list[bool] = []
        self.blocks = 0

    def __call__(self, record: Record) -> None:
        self.blocks = max(self.blocks, len(self._cluster.blocks()))
        fault = self._faults.get(record.iteration)
        if fault is not None:
            self.happened.append(fault(self._cluster))
        if record.iteration == WHOLE:
            self.happened.append(self._cluster.is_whole())


def fit(cluster: Cluster, callback: Callable[[Record], None], rounds: int = ROUNDS) -> dict[str, Any]:
    """Result of a fit on a cluster, and its seconds."""
    columns = [F.sin(F.col("id") * (j + 1.3) + j).alias(f"x{j}") for j in range(5)]
    label = (F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9) > 0.3).cast("double")
    df = cluster.spark.range(20_000, numPartitions=4).select(*columns, label.alias("label"))
    estimator = LogisticRegression(
        featuresCols=[f"x{j}" for j in range(5)], solver="nesterov", regParam=1e-4, tol=0.0, maxIter=rounds,
        execution="cluster",
    )  # fmt: skip
    began = time.perf_counter()
    model = estimator.setCallbacks([callback]).fit(df)
    return {
        "coefficients": [float(x).hex() for x in [*model.coefficients, model.intercept]],
        "objectives": [x.hex() for x in model.summary.objectiveHistory],
        "blocks left": cluster.blocks(),
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    """Run the fits."""
    cluster = Cluster()
    results: dict[str, dict[str, Any]] = {}
    for name, faults in FAULTS.items():
        disturber = Disturber(cluster, faults)
        results[name] = fit(cluster, disturber) | {
            "happened": len(disturber.happened) == len(faults) + 1 and all(disturber.happened),
            "blocks seen": disturber.blocks,
        }
    cluster.spark.stop()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
