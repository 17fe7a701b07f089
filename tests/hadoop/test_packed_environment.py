"""The second way of the README: a packed environment, with all that executors need, as an archive that YARN unpacks."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from scripts.hadoop.cluster import HadoopCluster
from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from tests.support.environment import ROOT, new_environment
from tests.support.yarn import COLUMNS, submit, told

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SAME = ("numpy", "scipy", "pyarrow", "pandas", "threadpoolctl")
"""Distributions that are of the same version as here: others may compute other last bits."""


@dataclass(frozen=True)
class Packed:
    """A virtual environment, and the archive of it."""

    python: Path
    archive: Path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """Made by the commands of the README, from a copy of what they need: pip builds beside the source."""
    root = tmp_path_factory.mktemp("packed")
    copy, home, versions = root / "source", root / "venv", root / "versions.txt"
    shutil.copytree(ROOT / "sparkgd", copy / "sparkgd", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    versions.write_text("".join(f"{name}=={metadata.version(name)}\n" for name in SAME))
    python = new_environment(home, "-c", versions, copy, "venv-pack")
    archive = root / "environment.tar.gz"
    command = [python.with_name("venv-pack"), "--quiet", "-p", home, "-o", archive, "--compress-level", 1]
    subprocess.run([str(part) for part in command], check=True)
    return Packed(python, archive)


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_train_with_a_packed_environment(
    mode: str, spark: SparkSession, hadoop: HadoopCluster, source: str, package: Path, packed: Packed, tmp_path: Path
) -> None:
    """No other Python can be meant: the path of the interpreter leads somewhere in a container only."""
    model, report = f"{hadoop.filesystem}/packed/{mode}/model", tmp_path / "report.json"
    home = importlib.util.find_spec("pyspark").submodule_search_locations[0]
    variables = {"SPARK_HOME": home, "PYSPARK_PYTHON": "./environment/bin/python"}
    if mode == "client":
        variables["PYSPARK_DRIVER_PYTHON"] = str(packed.python)
    modules = ["--py-files", package] if mode == "cluster" else []
    run = submit(
        hadoop, "--deploy-mode", mode, "--archives", f"{packed.archive}#environment", *modules,
        ROOT / "jobs" / "train.py", "--input", source, "--labelCol", "label", "--regParam", "0.001",
        "--execution", "cluster", "--test-fraction", "0", "--model", model, "--report", report,
        cwd=tmp_path, variables=variables,
    )  # fmt: skip
    assert run.returncode == 0, told(run)
    assert json.loads(report.read_text())["execution"] == "cluster"
    trained = LogisticRegressionModel.load(model)
    expected = LogisticRegression(featuresCols=COLUMNS, regParam=0.001, execution="cluster").fit(
        spark.read.parquet(source)
    )
    assert trained.intercept.hex() == expected.intercept.hex()
    assert list(trained.coefficients) == list(expected.coefficients)
