"""Script of tests/engine/test_speculation.py: fits on a standalone cluster of two workers, one with a slow task.

Spark speculates on another host only. Both workers are on this machine, under two of its names, so that they pass for
two. Prints one JSON line: the result of each fit, and how many copies of tasks Spark has started.
"""

from __future__ import annotations

import glob
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyspark
from pyspark import TaskContext
from pyspark.sql import functions as F

from sparkgd.data import blockfile
from sparkgd.regression import GradientDescentRegressor
from sparkgd.training.loop import Record
from tests.support.fit_on_a_cluster import PATIENCE, Cluster

HOSTS = ("127.0.0.1", "localhost")
SLOWNESS = 20
ROWS = 20_000
TASK_SECONDS = 1.0
ROUNDS = 12
SLOW_FROM = 3
"""Iteration."""

SETTINGS = {"spark.speculation.minTaskRuntime": "5s"}
"""Longer than a Python worker takes to start."""


class Sleepy:
    """Squared error that takes its time for every row of a task, and twenty times as much in the attempt that is armed.

    Parameters
    ----------
    directory : str
        Where a file named ``armed`` makes the next attempt the slow one.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Runs on executors, before they open blocks."""
        self.__dict__.update(state)
        own_disks_only()

    def value(self, label: np.ndarray, raw_prediction: np.ndarray) -> np.ndarray:
        return (raw_prediction - label) ** 2 / 2

    def derivative(self, label: np.ndarray, raw_prediction: np.ndarray) -> np.ndarray:
        context = TaskContext.get()
        if context is not None:
            factor = SLOWNESS if self._is_slow(context.taskAttemptId()) else 1
            time.sleep(factor * len(label) * TASK_SECONDS * len(HOSTS) / ROWS)
        return raw_prediction - label

    def _is_slow(self, attempt: int) -> bool:
        mine = os.path.join(self.directory, f"slow-{attempt}")
        try:
            os.rename(os.path.join(self.directory, "armed"), mine)
        except FileNotFoundError:
            return os.path.exists(mine)
        return True


def own_disks_only() -> None:
    """Hide the other executor's blocks from this one, as on another host; files of one machine can all be seen."""
    seen = blockfile.block_of
    if seen.__module__ != blockfile.__name__:
        return

    def block_of(handle: blockfile.BlockHandle, first_row: int = 0) -> Any:
        if not any(handle.path.startswith(root) for root in os.environ["SPARK_LOCAL_DIRS"].split(",")):
            raise FileNotFoundError(handle.path)
        return seen(handle, first_row)

    blockfile.block_of = block_of


@contextmanager
def standalone_cluster(scratch: str) -> Iterator[str]:
    """Address of a master with a worker under each of the host names; the processes end with the context."""
    port, started = free_port(), list[subprocess.Popen[bytes]]()
    master = f"spark://{HOSTS[0]}:{port}"
    try:
        started.append(daemon(scratch, "master.Master", "--host", HOSTS[0], "--port", port, "--webui-port", 0))
        for host in HOSTS:
            options = ("--host", host, "--cores", 1, "--memory", "1g", "--work-dir", scratch, "--webui-port", 0)
            started.append(daemon(scratch, "worker.Worker", *options, master))
        yield master
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(timeout=30)


def daemon(scratch: str, name: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A process of Spark's own cluster manager."""
    script = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(script), f"org.apache.spark.deploy.{name}", *map(str, arguments)]
    # Spark's own variables would be taken for the daemon's: each worker has its address from the options.
    environment = {key: value for key, value in os.environ.items() if key != "SPARK_LOCAL_IP"}
    environment |= {"SPARK_LOCAL_DIRS": scratch, "SPARK_DAEMON_MEMORY": "512m"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind((HOSTS[0], 0))
        return int(found.getsockname()[1])


def fit(cluster: Cluster, scratch: str, callback: Callable[[Record], None], rounds: int = ROUNDS) -> dict[str, Any]:
    """Result of a fit, and its seconds."""
    columns = [F.sin(F.col("id") * (j + 1.3) + j).alias(f"x{j}") for j in range(5)]
    label = F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9)
    df = cluster.spark.range(ROWS, numPartitions=2).select(*columns, label.alias("label"))
    estimator = GradientDescentRegressor(
        loss=Sleepy(scratch), featuresCols=[f"x{j}" for j in range(5)], solver="nesterov", regParam=1e-4, tol=0.0,
        maxIter=rounds, execution="cluster",
    )  # fmt: skip
    ends: list[float] = []
    began = time.perf_counter()
    model = estimator.setCallbacks([callback, lambda record: ends.append(time.perf_counter() - began)]).fit(df)
    return {
        "coefficients": [float(x).hex() for x in [*model.coefficients, model.intercept]],
        "objectives": [x.hex() for x in model.summary.objectiveHistory],
        "seconds": time.perf_counter() - began,
        "ends": ends,
    }


def speculated(scratch: str) -> int:
    """Copies of tasks that Spark has started, by its event log."""
    logs = [path for path in glob.glob(f"{scratch}/events/**", recursive=True) if os.path.isfile(path)]
    starts = [line for path in logs for line in Path(path).read_text().splitlines() if "SparkListenerTaskStart" in line]
    return sum('"Speculative":true' in line for line in starts)


def main() -> None:
    """Run the fits."""
    scratch = tempfile.mkdtemp()
    os.mkdir(f"{scratch}/events")

    def arm(record: Record) -> None:
        if record.iteration == SLOW_FROM:
            Path(scratch, "armed").touch()

    told = {"spark.eventLog.enabled": "true", "spark.eventLog.dir": f"file://{scratch}/events"}
    told |= {"spark.eventLog.compress": "false"} | json.loads(os.environ.get("TRIAL") or json.dumps(SETTINGS))
    options = " ".join(f"--conf {name}={value}" for name, value in told.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"{options} pyspark-shell"
    with standalone_cluster(scratch) as master:
        cluster = Cluster(master, scratch)
        assert cluster.is_whole(), f"no two executors in {PATIENCE} seconds"
        fit(cluster, scratch, lambda record: None, 1)
        normal = fit(cluster, scratch, lambda record: None)
        slow = fit(cluster, scratch, arm)
        slowed = len(glob.glob(f"{scratch}/slow-*"))
        cluster.spark.stop()
    print(
        json.dumps(
            {"normal": normal, "slow": slow, "slowed": slowed, "copies": speculated(scratch), "scratch": scratch}
        )
    )


if __name__ == "__main__":
    main()
