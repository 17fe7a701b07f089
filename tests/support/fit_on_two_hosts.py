"""Script of tests/engine/test_speculation.py: fits on a standalone cluster of two workers, one of which gets slow.

Spark speculates on another host only. Both workers are on this machine, under two of its names, so that they pass for
two. Prints one JSON line: the result of each fit, and how many copies of tasks Spark has started.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pyspark

from sparkgd.training.loop import Record
from tests.support.fit_on_a_cluster import DAEMON, PATIENCE, Cluster, fit
from tests.support.processes import descendants

HOSTS = ("127.0.0.1", "localhost")
SLOWNESS = 20
PERIOD = 0.1
"""Seconds, of which a slowed process runs for a share of ``1 / SLOWNESS``."""

ROUNDS = 12
SLOW_FROM = 3
"""Iteration."""


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


class Brake:
    """Callback that makes the youngest Python worker, and so every task in it, slow from some iteration on."""

    def __init__(self) -> None:
        self.slowed: list[int] = []
        self._over = Event()

    def __call__(self, record: Record) -> None:
        if record.iteration == SLOW_FROM:
            self.slowed = descendants(DAEMON)[-1:]
            Thread(target=self._slow, daemon=True).start()

    def release(self) -> None:
        """Let it run again."""
        self._over.set()

    def _slow(self) -> None:
        try:
            while self.slowed and not self._over.is_set():
                os.kill(self.slowed[0], signal.SIGSTOP)
                time.sleep(PERIOD * (1 - 1 / SLOWNESS))
                os.kill(self.slowed[0], signal.SIGCONT)
                time.sleep(PERIOD / SLOWNESS)
        except ProcessLookupError:
            return  # Spark has killed it, because a copy of its task was faster


def speculated(scratch: str) -> int:
    """Copies of tasks that Spark has started, by its event log."""
    logs = [path for path in glob.glob(f"{scratch}/events/**", recursive=True) if os.path.isfile(path)]
    return sum(Path(path).read_text().count('"Speculative":true') for path in logs)


def main() -> None:
    """Run the fits."""
    scratch = tempfile.mkdtemp()
    os.mkdir(f"{scratch}/events")
    submit = f"--conf spark.eventLog.enabled=true --conf spark.eventLog.dir=file://{scratch}/events "
    os.environ["PYSPARK_SUBMIT_ARGS"] = submit + "--conf spark.eventLog.compress=false pyspark-shell"
    with standalone_cluster(scratch) as master:
        cluster = Cluster(master, scratch)
        assert cluster.is_whole(), f"no two executors in {PATIENCE} seconds"
        normal, brake = fit(cluster, lambda record: None, ROUNDS), Brake()
        slow = fit(cluster, brake, ROUNDS)
        brake.release()
        cluster.spark.stop()
    print(json.dumps({"normal": normal, "slow": slow, "slowed": brake.slowed, "copies": speculated(scratch)}))


if __name__ == "__main__":
    main()
