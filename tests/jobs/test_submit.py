"""The jobs as users start them: by spark-submit, in processes of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from tests.support.environment import ROOT, new_environment, worker_environment

SECONDS = 600
"""Limit of one run, generous for a busy machine."""


def submit(
    *arguments: str, cwd: Path, master: str = "local[2]", python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run spark-submit of the installed pyspark; it passes the job's stderr on to its own stdout.

    ``python`` is what executors start; where that is another one, they have no path of this checkout.
    """
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", master]
    command += ["--conf", "spark.ui.enabled=false", *arguments]
    environment = {**os.environ, **worker_environment()}
    environment.pop("SPARK_HOME", None)
    if python != sys.executable:
        environment["PYSPARK_PYTHON"] = str(python)
        del environment["PYTHONPATH"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The breast cancer data of scikit-learn as parquet."""
    path = tmp_path / "cancer.parquet"
    load_breast_cancer(as_frame=True).frame.rename(columns={"target": "benign"}).to_parquet(path)
    return path


TRAIN = ("--labelCol", "benign", "--regParam", "0.01", "--model", "model", "--report", "report.json")


@pytest.mark.slow
def test_train_then_predict(data: Path, tmp_path: Path) -> None:
    trained = submit(
        str(ROOT / "jobs" / "train.py"), "--input", data.name, *TRAIN, "--plot", "curve.png", cwd=tmp_path
    )  # fmt: skip
    assert trained.returncode == 0, trained.stdout + trained.stderr
    lines = trained.stdout.splitlines()
    assert lines[0].startswith("features   mean radius, mean texture, ")
    assert lines[1:3] == ["left out   benign: labelCol", next(line for line in lines if line.startswith("round 1 "))]
    assert any(line.startswith("status     converged: ") for line in lines)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["heldOut"]["AUC"] > 0.95
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

    predicted = submit(
        str(ROOT / "jobs" / "predict.py"), "--input", data.name, "--model", "model", "--output", "out", cwd=tmp_path
    )  # fmt: skip
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    rows = pd.read_parquet(tmp_path / "out")
    assert len(rows) == 569
    assert (rows["prediction"] == rows["benign"]).mean() > 0.95


@pytest.mark.slow
def test_a_missing_column_is_one_line_and_exit_code_2(data: Path, tmp_path: Path) -> None:
    run = submit(
        str(ROOT / "jobs" / "train.py"), "--input", data.name, "--labelCol", "malign", "--model", "model", cwd=tmp_path
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stdout.startswith("error: labelCol='malign' does not exist; the DataFrame has ")
    assert run.stdout.count("\n") == 1
    assert "Traceback" not in run.stderr
    assert "Exception" not in run.stderr


def test_executors_without_what_they_need_are_one_line(data: Path, tmp_path: Path) -> None:
    """As those have that an environment starts which was not activated: they take the system's Python."""
    bare = tmp_path / "bare"
    venv.create(bare, symlinks=True)
    train = str(ROOT / "jobs" / "train.py")
    run = submit(
        train, "--input", data.name, *TRAIN, "--execution", "cluster", cwd=tmp_path, python=bare / "bin/python"
    )
    assert run.returncode == 2, run.stdout + run.stderr
    last = run.stdout.splitlines()[-1]
    assert last.startswith("error: the Python that Spark starts on executors cannot run sparkgd (No module named")
    assert f"set PYSPARK_PYTHON={sys.executable} before Spark starts" in last
    assert "Traceback" not in run.stdout


def needed_by_executors() -> list[str]:
    """What the README says that executors must have, at the versions of this environment."""
    text = (ROOT / "README.md").read_text()
    names = re.search(r"what it imports there: ([\w, ]+)\.", text)
    assert names is not None
    return [f"{name}=={metadata.version(name)}" for name in re.split(r", | and ", names[1].lower())]


@pytest.fixture(scope="module")
def executors_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of an environment with what the README names, and nothing else."""
    return new_environment(tmp_path_factory.mktemp("executors") / "venv", *needed_by_executors())


@pytest.mark.cluster
def test_train_on_a_cluster_that_gets_the_package_as_a_zip(data: Path, tmp_path: Path, executors_python: Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_zip.py"), str(tmp_path / "sparkgd.zip")], check=True)
    run = submit(
        "--py-files", "sparkgd.zip", str(ROOT / "jobs" / "train.py"), "--input", data.name, *TRAIN,
        "--execution", "cluster", "--maxIter", "4",
        cwd=tmp_path, master="local-cluster[2,1,1024]", python=executors_python,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["execution"] == "cluster"
    assert report["totalIterations"] == 4
    assert report["objectiveHistory"][-1] < 0.5 * report["objectiveHistory"][0]
