"""Scripts about what is installed and shipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.environment import ROOT


def output_of(*arguments: str, **environment: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_every_runtime_dependency_has_a_lower_bound_that_is_tested() -> None:
    bounds = dict(line.split("==") for line in output_of(str(ROOT / "scripts" / "lowest_bounds.py")).splitlines())
    assert bounds["pyspark"] == "4.0"
    assert {"numpy", "scipy", "pyarrow", "pandas", "matplotlib", "numba"} <= bounds.keys()


def test_the_zip_can_be_imported_from(tmp_path: Path) -> None:
    target = tmp_path / "new" / "sparkgd.zip"
    output_of(str(ROOT / "scripts" / "make_zip.py"), str(target))
    shipped = "sparkgd, sparkgd.questions.gradient, job_estimator, job_scoring, tune_report"
    code = f"import {shipped}; from sparkgd.mlflow import allowlist; assert allowlist(); print(sparkgd.__file__)"
    found = output_of("-P" if sys.version_info >= (3, 11) else "-s", "-c", code, PYTHONPATH=str(target))
    assert found.startswith(str(target))
