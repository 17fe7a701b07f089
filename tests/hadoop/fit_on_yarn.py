"""Job of tests/hadoop/test_yarn.py: fits on YARN that are disturbed. It sees sparkgd only in the zip that it is given.

``fit_on_yarn.py INPUT CHECKPOINTS SCRATCH DAEMONS`` prints one JSON line, by victim: the fit in which it was killed.
The victim "memory" is a container that takes more of it than YARN allows, and which YARN therefore kills.
With daemons, a JSON object of process ids by name, the fits are undisturbed, then with one victim after the other; at
last the driver kills itself. Without them (``{}``) there is one fit, which goes on from what the driver has left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import Any

from processes import command_line, processes_in
from pyspark.sql import DataFrame, SparkSession

import sparkgd
from sparkgd.classification import LogisticRegression
from sparkgd.training.loop import Record

EXECUTOR = "YarnCoarseGrainedExecutorBackend"
LAUNCHER = "ExecutorLauncher"
COLUMNS = [f"x{j}" for j in range(5)]
TOO_MUCH = 1 << 30
"""Bytes, as many as a container may have with all its processes."""

PATIENCE = 60.0
"""Seconds for YARN to notice."""


class Killer:
    """Callback that makes a victim of one process, or one machine, after round 9, and remembers the rounds."""

    def __init__(self, victim: str, scratch: Path, daemons: dict[str, int]) -> None:
        self.victim, self.scratch, self.daemons = victim, scratch, daemons
        self.killed: list[int | str] = []
        self.rounds: list[int] = []

    def __call__(self, record: Record) -> None:
        self.rounds.append(record.round)
        if record.round == 9 and not self.killed:
            if self.victim.startswith("memory"):
                self.killed = crowded_out()
                return
            self.killed = self.victims()
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)

    def victims(self) -> list[int]:
        """Ids of the processes to kill."""
        if self.victim == "executor":
            return self.java(EXECUTOR)[:1]
        if self.victim == "DataNode":  # and an executor, whose rows are then read from the other DataNode
            return [self.daemons["datanode0"], *self.java(EXECUTOR)[:1]]
        if self.victim == "NodeManager":
            node = next(node for node in self.nodes() if self.java(EXECUTOR, node) and not self.java(LAUNCHER, node))
            return [self.daemons[node], *processes_in(self.scratch / node)]
        if self.victim == "driver":
            return [os.getppid(), os.getpid()]
        return []

    def nodes(self) -> list[str]:
        """Names of the NodeManagers."""
        return [name for name in self.daemons if name.startswith("nodemanager")]

    def java(self, word: str, node: str = "") -> list[int]:
        """Ids of the JVMs in containers, of one node or all, that were started with a word."""
        commands = {pid: command_line(pid) for pid in processes_in(self.scratch / node)}
        return [pid for pid, command in commands.items() if word in command and command.split()[0].endswith("java")]


def crowd(flag: str) -> None:
    """Runs on an executor: takes more memory than its container may have, unless another attempt has done so."""
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    taken = bytearray(b"x") * TOO_MUCH
    time.sleep(PATIENCE)
    del taken


def crowded_out() -> list[str]:
    """Has YARN kill a container; why executors have gone meanwhile."""
    context = SparkSession.active().sparkContext
    before, flag = gone(), tempfile.mktemp()
    job = Thread(target=lambda: context.parallelize([flag], 1).foreach(crowd), daemon=True)
    job.start()
    job.join(2 * PATIENCE)
    return gone()[len(before) :]


def gone() -> list[str]:
    """Why executors have gone so far."""
    executors = SparkSession.active().sparkContext._jsc.sc().statusStore().executorList(False)
    found = [executors.apply(number) for number in range(executors.size())]
    lost = sorted((each.removeTime().get().getTime(), each.removeReason()) for each in found if not each.isActive())
    return [str(reason) for _, reason in lost]


def fit(df: DataFrame, killer: Killer, directory: str) -> dict[str, Any]:
    """What became of a fit."""
    estimator = LogisticRegression(
        featuresCols=COLUMNS, solver="nesterov", tol=0.0, maxIter=20, execution="cluster",
        checkpointDir=directory, checkpointInterval=4, blockAccess="read" if "read" in killer.victim else "map",
    )  # fmt: skip
    model = estimator.setCallbacks([killer]).fit(df)
    return {
        "killed": killer.killed,
        "rounds": killer.rounds,
        "bits": {
            "coefficients": [float(value).hex() for value in [*model.coefficients, model.intercept]],
            "objectives": [value.hex() for value in model.summary.objectiveHistory],
        },
    }


def where(_: object) -> list[str]:
    """Runs on an executor: where it has sparkgd from."""
    return [str(sparkgd.__file__)]


def main(source: str, directory: str, scratch: str, daemons: str) -> None:
    """Run the fits."""
    pids = json.loads(daemons)
    spark = SparkSession.builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    df = spark.read.parquet(source)
    disturbed = ["memory, map", "memory, read", "executor", "DataNode", "NodeManager"]
    victims = ["nothing", *disturbed] if pids else ["nothing"]
    results: dict[str, Any] = {each: fit(df, Killer(each, Path(scratch), pids), directory) for each in victims}
    results["package"] = [sparkgd.__file__, *spark.sparkContext.parallelize([0], 1).flatMap(where).collect()]
    print(json.dumps(results), flush=True)
    if pids:
        fit(df, Killer("driver", Path(scratch), pids), directory)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
