"""A small Hadoop cluster on the loopback interface: HDFS and YARN, each daemon a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen
from xml.sax.saxutils import escape

from scripts.hadoop.jars import Unavailable, hadoop_jars, java, spark_jars
from scripts.hadoop.processes import command_line, processes_in
from scripts.hadoop.settings import (
    DATA_NODE,
    HOST,
    LOG4J,
    NAME_NODE,
    NODE_MANAGER,
    NODES,
    RESOURCE_MANAGER,
    SCHEDULER,
    core_settings,
    hdfs_settings,
    node_settings,
    spark_settings,
    yarn_settings,
)

START_SECONDS = 180
"""Until every daemon must have said that it is there; they need 15 s on idle cores."""

MAIN = {
    NAME_NODE: "org.apache.hadoop.hdfs.server.namenode.NameNode",
    DATA_NODE: "org.apache.hadoop.hdfs.server.datanode.DataNode",
    RESOURCE_MANAGER: "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    NODE_MANAGER: "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}
HEAP = {NAME_NODE: 192, DATA_NODE: 128, RESOURCE_MANAGER: 256, NODE_MANAGER: 192}
"""Megabytes."""


class HadoopCluster:
    """NameNode, ResourceManager, and two each of DataNodes and NodeManagers; a context manager.

    All that it writes is in one scratch directory, by which its containers are known as well: YARN starts them there.
    The daemons die with the thread that started them, and what runs in containers with its driver.

    Parameters
    ----------
    scratch : Path
        Made if it is not there.

    Raises
    ------
    Unavailable
        If this machine lacks what it takes.
    """

    def __init__(self, scratch: Path) -> None:
        if not Path("/proc/self/stat").exists():
            raise Unavailable("processes are found through /proc, which this system does not have")
        self._java, self._jars = java(), hadoop_jars()
        self.scratch = scratch.resolve()
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        names, web, self._resource_web, *manager = free_ports(7)
        self._name_web = web
        self.filesystem = f"hdfs://{HOST}:{names}"
        self.configuration = self.scratch / "conf"
        self.configuration.mkdir(parents=True, exist_ok=True)
        _write(self.configuration / "core-site.xml", core_settings(self.filesystem, self.scratch))
        _write(self.configuration / "hdfs-site.xml", hdfs_settings(web, self.scratch))
        _write(self.configuration / "yarn-site.xml", yarn_settings(self._resource_web, manager))
        _write(self.configuration / "capacity-scheduler.xml", SCHEDULER)
        self._own = self.scratch / "daemons"
        (self._own / "webapps" / "cluster").mkdir(parents=True, exist_ok=True)
        (self._own / "webapps" / "node").mkdir(exist_ok=True)
        (self._own / "log4j2.properties").write_text(LOG4J)
        self._spark = self.scratch / "spark"
        self._spark.mkdir(exist_ok=True)
        defaults = "".join(f"{name} {value}\n" for name, value in spark_settings().items())
        (self._spark / "spark-defaults.conf").write_text(defaults)

    def environment(self) -> dict[str, str]:
        """Variables by which ``spark-submit`` finds the cluster, and fits its jobs into it."""
        return {"HADOOP_CONF_DIR": str(self.configuration), "SPARK_CONF_DIR": str(self._spark), "SPARK_LOCAL_IP": HOST}

    def __enter__(self) -> HadoopCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start all daemons, and wait until the two masters know their nodes.

        Raises
        ------
        RuntimeError
            With the ends of all logs, if they do not.
        """
        format_arguments = ["-format", "-nonInteractive", "-force"]
        self._run(self._command(192, MAIN[NAME_NODE], format_arguments), "format")
        self.launch(NAME_NODE)
        self.launch(RESOURCE_MANAGER)
        for number in range(NODES):
            self.launch(f"{DATA_NODE}{number}")
            self.launch(f"{NODE_MANAGER}{number}")
        self.wait_until_complete()

    def launch(self, name: str) -> None:
        """Start one daemon, for the first time or again."""
        kind = name.rstrip("0123456789")
        settings = [part for item in node_settings(name, self.scratch).items() for part in ("-D", "=".join(item))]
        with self._log(name).open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                self._command(HEAP[kind], MAIN[kind], settings),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.scratch, env=self._environment(),
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip

    def repair(self) -> None:
        """Start again the daemons that have been killed, and wait until they are known."""
        for name in [name for name, daemon in self.daemons.items() if daemon.poll() is not None]:
            self.launch(name)
        self.wait_until_complete()

    def shell(self, *arguments: str) -> str:
        """What ``hdfs dfs`` prints with these arguments."""
        return self._run(self._command(128, "org.apache.hadoop.fs.FsShell", arguments), "shell")

    def data_nodes(self) -> int:
        """DataNodes that the NameNode has heard of lately."""
        state = _bean(self._name_web, "Hadoop:service=NameNode,name=FSNamesystemState")
        return int(state["NumLiveDataNodes"]) if state else 0

    def node_managers(self) -> int:
        """NodeManagers that the ResourceManager would start containers on."""
        metrics = _bean(self._resource_web, "Hadoop:service=ResourceManager,name=ClusterMetrics")
        return int(metrics["NumActiveNMs"]) if metrics else 0

    def wait_until_complete(self) -> None:
        """Wait until both masters know all nodes."""
        self.wait_until(lambda: self.data_nodes() == NODES, "DataNodes have registered")
        self.wait_until(lambda: self.node_managers() == NODES, "NodeManagers have registered")

    def wait_until(self, is_so: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Wait for something that the daemons do.

        Raises
        ------
        RuntimeError
            With the ends of all logs, if it takes too long.
        """
        end = time.monotonic() + seconds
        while not is_so():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() not in (None, -signal.SIGKILL)]
            if dead or time.monotonic() > end:
                reason = f"{', '.join(dead)} ended" if dead else f"{seconds:.0f} s were not enough"
                raise RuntimeError(f"not all {what}: {reason}\n{self.logs()}")
            time.sleep(0.2)

    def logs(self, lines: int = 20) -> str:
        """The ends of the logs of all daemons."""
        found = {log.name: _told(log) for log in sorted(self.scratch.glob("*.log"))}
        return "\n".join("\n".join([f"--- {name}", *text[-lines:]]) for name, text in found.items())

    def stop(self) -> None:
        """End all daemons and all that runs in containers, by process id.

        Raises
        ------
        RuntimeError
            If anything is still there afterwards.
        """
        for daemon in self.daemons.values():
            daemon.kill()
        for daemon in self.daemons.values():
            daemon.wait()
        for _ in range(50):
            left = processes_in(self.scratch)
            if not left:
                return
            for pid in left:
                _kill(pid)
            time.sleep(0.1)
        raise RuntimeError(f"processes that SIGKILL did not end: {[(pid, command_line(pid)) for pid in left]}")

    def _log(self, name: str) -> Path:
        return self.scratch / f"{name}.log"

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment(), "JAVA_HOME": str(Path(self._java).resolve().parent.parent)}

    def _command(self, megabytes: int, main: str, arguments: Sequence[str]) -> list[str]:
        path = [str(self.configuration), str(self._own), *map(str, self._jars), f"{spark_jars()}/*"]
        options = [
            f"-Xmx{megabytes}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.net.preferIPv4Stack=true",
        ]
        options += [
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            f"-Dlog4j2.configurationFile={self._own}/log4j2.properties",
        ]
        return [self._java, *options, "-cp", os.pathsep.join(path), main, *arguments]

    def _run(self, command: Sequence[str], name: str) -> str:
        with self._log(name).open("ab") as log:
            run = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=self.scratch,
                env=self._environment(), timeout=START_SECONDS, preexec_fn=_die_with_parent,
            )  # fmt: skip
        if run.returncode:
            raise RuntimeError(f"{' '.join(command[-3:])} failed: {run.stdout.decode()[-3000:]}\n{self.logs()}")
        return run.stdout.decode()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, outside of the range in which the system chooses those of connections."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as trial:
            if port not in ports and trial.connect_ex((HOST, port)):
                ports.append(port)
    return ports


def _write(path: Path, settings: Mapping[str, str]) -> None:
    entries = [
        f"<property><name>{name}</name><value>{escape(value)}</value></property>" for name, value in settings.items()
    ]
    path.write_text("\n".join(["<configuration>", *entries, "</configuration>\n"]))


def _told(log: Path) -> list[str]:
    """Lines of a log, cut where they are long, without those in which Hadoop lists the whole class path."""
    lines = log.read_text(errors="replace").splitlines()
    return [line[:300] for line in lines if not line.startswith("STARTUP_MSG")]


def _bean(port: int, name: str) -> dict[str, object]:
    """What a daemon says about itself; nothing, as long as it does not answer."""
    try:
        with urlopen(f"http://{HOST}:{port}/jmx?qry={name}", timeout=5) as answer:
            (bean,) = json.load(answer)["beans"]
            return bean
    except (OSError, ValueError):
        return {}


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    """Runs in the new process: the kernel kills it when its parent has ended (``PR_SET_PDEATHSIG``)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
