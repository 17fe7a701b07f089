"""Environment variables with which Spark's Python workers import this checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def worker_environment() -> dict[str, str]:
    """Variables for a process that starts Spark: this interpreter, this checkout, the loopback interface."""
    path = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def new_environment(home: Path, *installed: object) -> Path:
    """The Python of a new virtual environment, for which pip has been given these arguments.

    Where pip cannot install them, as without a registry, the test is skipped with the reason.
    """
    python = home / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", *map(str, installed)]
    install = subprocess.run(command, capture_output=True, text=True)
    if install.returncode:
        lines = [line for line in install.stderr.splitlines() if "ERROR" in line] or install.stderr.splitlines()
        pytest.skip(f"no new environment, pip fails: {lines[0] if lines else install.returncode}")
    return python
