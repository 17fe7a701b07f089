"""Jobs that are submitted to a Hadoop cluster as users submit them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.hadoop.cluster import HadoopCluster
from tests.support.environment import worker_environment

COLUMNS = [f"x{j}" for j in range(5)]
"""Features of the rows in HDFS."""

SECONDS = 400
"""Limit of one run, generous for a busy machine."""


def submit(
    hadoop: HadoopCluster,
    *arguments: object,
    cwd: Path,
    variables: dict[str, str] | None = None,
    seconds: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run spark-submit on the cluster; nothing but what is submitted leads to this checkout.

    The variables come in the place of those that say which Python to take.
    """
    command = [str(Path(sys.executable).with_name("spark-submit")), *map(str, arguments)]
    python = {"PYSPARK_PYTHON": sys.executable} if variables is None else variables
    environment = {**os.environ, **worker_environment(), **hadoop.environment()}
    for name in ("SPARK_HOME", "PYTHONPATH", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
        environment.pop(name, None)
    return subprocess.run(command, cwd=cwd, env=environment | python, capture_output=True, text=True, timeout=seconds)


def told(run: subprocess.CompletedProcess[str]) -> str:
    """The end of what a run has printed."""
    return f"{run.stdout[-4000:]}\n{run.stderr[-8000:]}"
