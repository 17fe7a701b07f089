"""The one Spark session of the tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("tests.support")

CONNECT = Path(__file__).resolve().parent / "connect"

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from pyspark.sql import SparkSession


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests that use Spark, for ``make test-fast`` to choose from."""
    if "spark" in getattr(item, "fixturenames", ()):
        item.add_marker("spark")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests of Spark Connect unless they are named: they need a process of their own."""
    if collection_path == CONNECT and not any(path == CONNECT or CONNECT in path.parents for path in _named(config)):
        return True
    return None


def _named(config: pytest.Config) -> list[Path]:
    """The paths on the command line."""
    return [Path(str(argument).split("::")[0]).resolve() for argument in config.args]


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say which tests were skipped, for whatever reason: dots do not tell."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()) if report.longrepr]
    for reason in dict.fromkeys(reasons):
        terminalreporter.write_line(f"{reasons.count(reason)} skipped: {reason.removeprefix('Skipped: ')}", yellow=True)


@pytest.fixture
def headless() -> Iterator[None]:
    """Plots without a screen, closed afterwards; a test of them is skipped where matplotlib is not installed."""
    matplotlib = pytest.importorskip("matplotlib", reason="plotting is an extra: matplotlib is not installed")
    from matplotlib import pyplot

    with matplotlib.rc_context({"backend": "agg"}):
        yield
        pyplot.close("all")


@pytest.fixture
def own_temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Directory of this process's temporary files, in which no other process of the tests has any."""
    directory = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A local session on two cores; its Python workers import this checkout, installed or not."""
    from pyspark.sql import SparkSession

    from tests.support.environment import worker_environment

    os.environ.update(worker_environment())
    scratch = tmp_path_factory.mktemp("spark")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("sparkgd tests")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "2g")
        .config("spark.local.dir", str(scratch / "local"))
        .config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.python.unix.domain.socket.enabled", "true")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
