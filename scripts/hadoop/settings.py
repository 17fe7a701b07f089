"""What the daemons, their clients and Spark are told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.hadoop.jars import spark_jars

HOST = "127.0.0.1"
NODES = 2
"""DataNodes, and NodeManagers."""

NODE_MEMORY = 2048
"""Megabytes that the containers of one NodeManager may take together."""

NAME_NODE, DATA_NODE = "namenode", "datanode"
RESOURCE_MANAGER, NODE_MANAGER = "resourcemanager", "nodemanager"

LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


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
        "yarn.nodemanager.resource.memory.enforced": "false",  # by control groups; where it is true, nothing is checked
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.container-monitor.interval-ms": "1000",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        "yarn.scheduler.minimum-allocation-mb": "128",
        "yarn.scheduler.maximum-allocation-mb": str(NODE_MEMORY),
    }


def spark_settings() -> dict[str, str]:
    """Of jobs: two small executors, each fit for a node beside a driver; the jars of this machine."""
    settings = {
        "spark.master": "yarn",
        "spark.yarn.jars": f"local:{spark_jars()}/*",
        "spark.yarn.am.memory": "512m",
        "spark.driver.memory": "512m",
        "spark.driver.memoryOverhead": "512m",
        "spark.executor.instances": "2",
        "spark.executor.memory": "480m",
        "spark.executor.memoryOverhead": "544m",
        "spark.python.unix.domain.socket.enabled": "true",
        "spark.python.unix.domain.socket.dir": tempfile.gettempdir(),  # the path of a container is too long
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    # Containers inherit nothing. What is said to BLAS decides which code it runs, and so the last bits.
    shared = {"SPARK_LOCAL_IP": HOST} | {name: os.environ[name] for name in os.environ if name.startswith("OPENBLAS_")}
    for kind in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
        settings |= {f"{kind}.{name}": value for name, value in shared.items()}
    return settings


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
        addresses = {f"dfs.datanode.{each}": f"{HOST}:0" for each in services}
        return addresses | {"dfs.datanode.data.dir": f"{scratch}/{name}"}
    if name.startswith(NODE_MANAGER):
        services = ("address", "localizer.address", "webapp.address")
        directories = {f"yarn.nodemanager.{kind}-dirs": f"{scratch}/{name}/{kind}" for kind in ("local", "log")}
        return directories | {f"yarn.nodemanager.{each}": f"{HOST}:0" for each in services}
    if name == RESOURCE_MANAGER:
        return {"yarn.node-attribute.fs-store.root-dir": f"file://{scratch}/{name}"}
    return {}
