"""A small Hadoop cluster on the loopback interface: HDFS and YARN, each daemon a process of its own.

``python scripts/hadoop_cluster.py [--put LOCAL REMOTE]... COMMAND...`` starts it, copies files into HDFS, runs a command
that finds it by ``HADOOP_CONF_DIR``, and stops it; the exit code is the command's. Tests use :class:`HadoopCluster`.
The jars are those of pyspark and the Hadoop of the same version, which Maven fetches once.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
NODES = 2
"""DataNodes, and NodeManagers."""

NODE_MEMORY = 2048
"""Megabytes that the containers of one NodeManager may take together."""

START_SECONDS = 180
"""Until every daemon must have said that it is there; they need 15 s on idle cores."""

MAVEN_SECONDS = 600
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
BOUNCY_CASTLE = [f"org.bouncycastle:{name}-jdk18on:1.82" for name in ("bcprov", "bcpkix", "bcutil")]
"""The ResourceManager makes certificates with it; Hadoop's one jar for tests leaves it out."""

NAME_NODE, DATA_NODE = "namenode", "datanode"
RESOURCE_MANAGER, NODE_MANAGER = "resourcemanager", "nodemanager"
MAIN = {
    NAME_NODE: "org.apache.hadoop.hdfs.server.namenode.NameNode",
    DATA_NODE: "org.apache.hadoop.hdfs.server.datanode.DataNode",
    RESOURCE_MANAGER: "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    NODE_MANAGER: "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}
HEAP = {NAME_NODE: 192, DATA_NODE: 128, RESOURCE_MANAGER: 256, NODE_MANAGER: 192}
"""Megabytes."""

LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


class Unavailable(Exception):
    """Why there can be no cluster on this machine."""


def spark_jars() -> Path:
    """The directory of pyspark's jars."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        raise Unavailable("pyspark is not installed")
    return Path(found.origin).parent / "jars"


def hadoop_version() -> str:
    """Of the client that pyspark ships."""
    names = [path.stem for path in spark_jars().glob("hadoop-client-runtime-*.jar")]
    if len(names) != 1:
        raise Unavailable(f"pyspark ships no Hadoop client in {spark_jars()}")
    return names[0].removeprefix("hadoop-client-runtime-")


def hadoop_jars() -> list[Path]:
    """The daemons, from the cache or else from Maven.

    Raises
    ------
    Unavailable
        If there is no ``mvn``, or it does not get them.
    """
    version = hadoop_version()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = root / "sparkgd" / f"hadoop-{version}"
    artifacts = [f"org.apache.hadoop:hadoop-client-minicluster:{version}", *BOUNCY_CASTLE]
    return [_jar(artifact, cache) for artifact in artifacts]


def _jar(artifact: str, cache: Path) -> Path:
    _, name, version = artifact.split(":")
    jar = cache / f"{name}-{version}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"{artifact} is not in {cache}, and there is no mvn to fetch it")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as draft:
        command = [maven, "-B", "-q", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={draft}"]
        try:
            run = subprocess.run(
                command, cwd=draft, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=MAVEN_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"mvn did not get {artifact} within {MAVEN_SECONDS} s") from error
        fetched = Path(draft, jar.name)
        if run.returncode or not fetched.exists():
            reason = next((line for line in run.stdout.splitlines() if "ERROR" in line), f"exit code {run.returncode}")
            raise Unavailable(f"mvn cannot get {artifact}: {reason}")
        fetched.replace(jar)
    return jar


def java() -> str:
    """The Java of ``JAVA_HOME``, or that of the path."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        raise Unavailable("there is no Java")
    return found


class HadoopCluster:
    """NameNode, ResourceManager, and two each of DataNodes and NodeManagers; a context manager.

    All that it writes is in one scratch directory, by which its containers are known as well: YARN starts them there.
    The daemons die with the thread that started them.

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

    def environment(self) -> dict[str, str]:
        """Variables by which Spark and Hadoop find the cluster."""
        return {"HADOOP_CONF_DIR": str(self.configuration), "YARN_CONF_DIR": str(self.configuration)}

    def submit_options(self) -> list[str]:
        """Options of ``spark-submit`` for two small executors, that take the jars and the Python of this machine."""
        settings = {
            "spark.yarn.jars": f"local:{spark_jars()}/*",
            "spark.yarn.am.memory": "512m",
            "spark.driver.memory": "600m",
            "spark.driver.memoryOverhead": "800m",
            "spark.executor.instances": "2",
            "spark.executor.memory": "512m",
            "spark.executor.memoryOverhead": "640m",
            "spark.pyspark.python": sys.executable,
            "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": HOST,
            "spark.executorEnv.SPARK_LOCAL_IP": HOST,
            "spark.ui.enabled": "false",
        }
        pairs = [part for item in settings.items() for part in ("--conf", "=".join(item))]
        return ["--master", "yarn", *pairs]

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


def core_settings(filesystem: str, scratch: Path) -> dict[str, str]:
    """What clients and all daemons know."""
    return {
        "fs.defaultFS": filesystem,
        "hadoop.tmp.dir": f"{scratch}/tmp",
        "ipc.client.connect.max.retries": "5",
        "ipc.client.connect.max.retries.on.timeouts": "3",
    }


def hdfs_settings(web: int, scratch: Path) -> dict[str, str]:
    """Of HDFS: two copies of each block, and a DataNode is given up after some 15 s instead of 10 minutes."""
    return {
        "dfs.namenode.name.dir": f"{scratch}/{NAME_NODE}",
        "dfs.namenode.http-address": f"{HOST}:{web}",
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.heartbeat.recheck-interval": "2000",
        "dfs.namenode.safemode.extension": "0",
        "dfs.heartbeat.interval": "1",
        "dfs.datanode.hostname": HOST,
        "dfs.replication": str(NODES),
        "dfs.client.socket-timeout": "20000",
    }


def yarn_settings(web: int, ports: Sequence[int]) -> dict[str, str]:
    """Of YARN: containers are held to their memory, and a NodeManager is given up after 10 s instead of 10 minutes."""
    services = ("address", "scheduler.address", "resource-tracker.address", "admin.address")
    addresses = {f"yarn.resourcemanager.{name}": f"{HOST}:{port}" for name, port in zip(services, ports, strict=True)}
    return {
        **addresses,
        "yarn.resourcemanager.hostname": HOST,
        "yarn.resourcemanager.webapp.address": f"{HOST}:{web}",
        "yarn.resourcemanager.connect.max-wait.ms": "30000",
        "yarn.resourcemanager.connect.retry-interval.ms": "1000",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "200",
        "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
        "yarn.am.liveness-monitor.expiry-interval-ms": "60000",
        "yarn.nodemanager.resource.memory-mb": str(NODE_MEMORY),
        "yarn.nodemanager.resource.cpu-vcores": "2",
        "yarn.nodemanager.pmem-check-enabled": "true",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.container-monitor.interval-ms": "1000",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        "yarn.scheduler.minimum-allocation-mb": "128",
        "yarn.scheduler.maximum-allocation-mb": str(NODE_MEMORY),
    }


SCHEDULER = {
    "yarn.scheduler.capacity.root.queues": "default",
    "yarn.scheduler.capacity.root.default.capacity": "100",
    "yarn.scheduler.capacity.root.default.maximum-am-resource-percent": "1",
    "yarn.scheduler.capacity.maximum-am-resource-percent": "1",
}


def node_settings(name: str, scratch: Path) -> dict[str, str]:
    """What only one daemon knows: its directories, and addresses that are nobody else's."""
    if name.startswith(DATA_NODE):
        services = ("address", "http.address", "ipc.address")
        return {"dfs.datanode.data.dir": f"{scratch}/{name}"} | {
            f"dfs.datanode.{each}": f"{HOST}:0" for each in services
        }
    if name.startswith(NODE_MANAGER):
        services = ("address", "localizer.address", "webapp.address", "collector-service.address")
        directories = {f"yarn.nodemanager.{kind}-dirs": f"{scratch}/{name}/{kind}" for kind in ("local", "log")}
        return directories | {f"yarn.nodemanager.{each}": f"{HOST}:0" for each in services}
    return {}


def _write(path: Path, settings: Mapping[str, str]) -> None:
    entries = [
        f"<property><name>{name}</name><value>{escape(value)}</value></property>" for name, value in settings.items()
    ]
    path.write_text("\n".join(["<configuration>", *entries, "</configuration>\n"]))


def _told(log: Path) -> list[str]:
    """Lines of a log without those in which Hadoop lists the whole class path."""
    return [line for line in log.read_text(errors="replace").splitlines() if not line.startswith("STARTUP_MSG")]


def _bean(port: int, name: str) -> dict[str, object]:
    """What a daemon says about itself; nothing, as long as it does not answer."""
    try:
        with urlopen(f"http://{HOST}:{port}/jmx?qry={name}", timeout=5) as answer:
            (bean,) = json.load(answer)["beans"]
            return bean
    except (OSError, ValueError):
        return {}


def processes_in(directory: Path) -> list[int]:
    """Ids of the processes whose working directory is this one or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = Path(os.readlink(entry / "cwd"))
            except OSError:
                continue  # it has ended, or is another user's
            if where == directory or directory in where.parents:
                found.append(int(entry.name))
    return sorted(found)


def command_line(pid: int) -> str:
    """The words with which a process was started; none once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    """Runs in the new process: the kernel kills it when its parent has ended (``PR_SET_PDEATHSIG``)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> int:
    """Run a command beside the cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--put", nargs=2, action="append", default=[], metavar=("LOCAL", "REMOTE"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hadoop-") as scratch:
        try:
            cluster = HadoopCluster(Path(scratch))
        except Unavailable as reason:
            print(f"no Hadoop cluster: {reason}", file=sys.stderr)
            return 1
        print(f"starting HDFS and YARN, Hadoop {hadoop_version()}, {NODES} nodes each", file=sys.stderr, flush=True)
        with cluster:
            for local, remote in options.put:
                cluster.shell("-put", local, remote)
            return subprocess.run(options.command, env={**os.environ, **cluster.environment()}).returncode


if __name__ == "__main__":
    sys.exit(main())
