"""A server of Spark Connect as a process of its own, on loopback."""

from __future__ import annotations

import glob
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.environment import worker_environment

SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"

PATIENCE = 120.0
"""Most seconds to wait for its start."""


class ConnectServer:
    """A server, its executors and its scratch directory.

    Parameters
    ----------
    scratch : Path
    master : str
    python : str
        Interpreter of an environment with the whole of pyspark; that of the client may have pyspark-client alone.
    """

    def __init__(self, scratch: Path, master: str, python: str = sys.executable) -> None:
        self.scratch, self.python = scratch, python
        self.port = _free_port()
        self.url = f"sc://127.0.0.1:{self.port}"
        self.log = scratch / "server.log"
        settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1g",
            "spark.local.dir": str(scratch / "local"),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            "spark.sql.shuffle.partitions": "2",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.executorEnv.PYTHONPATH": worker_environment()["PYTHONPATH"],
            "spark.python.unix.domain.socket.enabled": "true",
        }
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        submit = str(Path(python).with_name("spark-submit"))
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [submit, "--master", master, "--class", SERVER, *options, "spark-internal"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                start_new_session=True,
            )
        self._wait()

    def environment(self) -> dict[str, str]:
        """Variables for processes of classic Spark in the server's environment."""
        own = {"SPARK_HOME", "SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"}
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        interpreters = {"PYSPARK_PYTHON": self.python, "PYSPARK_DRIVER_PYTHON": self.python}
        return {**inherited, **worker_environment(), **interpreters, "SPARK_WORKER_DIR": str(self.scratch / "work")}

    def blocks(self) -> list[str]:
        """Directories of blocks of all fits and executors."""
        return glob.glob(f"{self.scratch}/**/sparkgd-*", recursive=True)

    def stop(self) -> None:
        """End the server with its executors."""
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        raise RuntimeError(f"the server did not start: {self.log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
