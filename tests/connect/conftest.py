"""Tests in a process of their own, which knows Spark by Spark Connect alone: pyspark allows no process both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from tests.support.connect_server import ConnectServer

SERVER_PYTHON = os.environ.get("SPARKGD_SERVER_PYTHON", sys.executable)
"""Interpreter of the server; the client's may have pyspark-client in place of pyspark."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectServer]:
    """A server with two executors that are processes of their own."""
    started = ConnectServer(tmp_path_factory.mktemp("connect"), "local-cluster[2,1,1024]", SERVER_PYTHON)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def spark(server: ConnectServer) -> Iterator[SparkSession]:
    """A session of that server."""
    session = SparkSession.builder.remote(server.url).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def df(spark: SparkSession) -> DataFrame:
    """The rows of `cases.frame`."""
    from tests.connect.cases import frame

    return frame(spark)


@pytest.fixture
def nothing_stays(spark: SparkSession, server: ConnectServer) -> Iterator[None]:
    """A fit leaves no view and no block behind, however it ends."""
    yield
    assert [table.name for table in spark.catalog.listTables() if table.name.startswith("sparkgd")] == []
    assert server.blocks() == []


@pytest.fixture(scope="session")
def classic(server: ConnectServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Calls the script of classic Spark with arguments, and has what it found."""

    def run(*arguments: str) -> Any:
        output = tmp_path_factory.mktemp("classic") / "found.json"
        script = Path(__file__).with_name("classic_reference.py")
        subprocess.run(
            [server.python, str(script), str(output), *arguments],
            env=server.environment(), check=True, timeout=300, stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
        return json.loads(output.read_text())

    return run


@pytest.fixture(scope="session")
def saved_by_classic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where classic Spark saves its pipeline."""
    return tmp_path_factory.mktemp("saved") / "pipeline"


@pytest.fixture(scope="session")
def reference(classic: Any, saved_by_classic: Path) -> dict[str, Any]:
    """What classic Spark makes of `cases`."""
    found: dict[str, Any] = classic(str(saved_by_classic))
    return found
