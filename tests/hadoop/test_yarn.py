"""Jobs on YARN, as users submit them, with all files in HDFS; and nodes, executors and drivers that are lost there.

What a driver with two cores of its own computes from the same files is computed on YARN as well, bit by bit.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from scripts.hadoop.cluster import HadoopCluster
from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from tests.support.environment import ROOT
from tests.support.yarn import COLUMNS, submit, told

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.mark.parametrize("mode", ["client", "cluster"])
def test_train_with_the_zip(
    mode: str, spark: SparkSession, hadoop: HadoopCluster, source: str, package: Path, tmp_path: Path
) -> None:
    model, report = f"{hadoop.filesystem}/yarn/{mode}/model", tmp_path / "report.json"
    run = submit(
        hadoop, "--deploy-mode", mode, "--py-files", package, ROOT / "jobs" / "train.py",
        "--input", source, "--labelCol", "label", "--regParam", "0.001", "--execution", "cluster",
        "--test-fraction", "0",
        "--checkpointDir", f"{hadoop.filesystem}/yarn/{mode}/checkpoints", "--checkpointInterval", "2",
        "--model", model, "--report", report, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, told(run)
    facts = json.loads(report.read_text())
    assert facts["execution"] == "cluster"
    assert facts["status"] == "converged"
    trained = LogisticRegressionModel.load(model)
    expected = LogisticRegression(featuresCols=COLUMNS, regParam=0.001, execution="cluster").fit(
        spark.read.parquet(source)
    )
    assert trained.intercept.hex() == expected.intercept.hex()
    assert list(trained.coefficients) == list(expected.coefficients)
    assert hadoop.shell("-ls", f"/yarn/{mode}/checkpoints") == ""


@pytest.fixture(scope="module")
def fits(
    hadoop: HadoopCluster, source: str, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, object]]:
    """An undisturbed fit, one for each victim, and one that goes on where a driver was lost; by victim."""
    cwd, checkpoints = tmp_path_factory.mktemp("faults"), f"{hadoop.filesystem}/yarn/faults"
    modules = f"{package},{ROOT / 'scripts' / 'hadoop' / 'processes.py'}"
    job = ["--py-files", modules, Path(__file__).with_name("fit_on_yarn.py"), source, checkpoints, hadoop.scratch]
    daemons = {name: daemon.pid for name, daemon in hadoop.daemons.items()}
    lost = submit(hadoop, *job, json.dumps(daemons), cwd=cwd)
    assert lost.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), told(lost)
    left = hadoop.shell("-ls", "-R", checkpoints)
    assert left.count(".checkpoint\n") == 2, left
    hadoop.repair()
    resumed = submit(hadoop, *job, "{}", cwd=cwd)
    assert resumed.returncode == 0, told(resumed)
    assert hadoop.shell("-ls", checkpoints) == "", "nothing is left of the checkpoints"
    return {**_results(lost), "driver": _results(resumed)["nothing"]}


def _results(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    return json.loads(next(line for line in run.stdout.splitlines() if line.startswith('{"nothing"')))


@pytest.mark.parametrize("victim", ["executor", "DataNode", "NodeManager"])
def test_what_is_killed_on_the_cluster_changes_no_bit(fits: dict[str, dict[str, object]], victim: str) -> None:
    assert fits[victim]["killed"], f"no {victim} was found to kill"
    assert fits[victim]["bits"] == fits["nothing"]["bits"]


@pytest.mark.parametrize("access", ["map", "read"])
def test_a_container_that_yarn_kills_for_its_memory_changes_no_bit(
    fits: dict[str, dict[str, object]], access: str
) -> None:
    disturbed = fits[f"memory, {access}"]
    assert any("physical memory" in reason for reason in disturbed["killed"])
    assert disturbed["bits"] == fits["nothing"]["bits"]


def test_another_driver_goes_on_from_hdfs_to_the_same_bits(fits: dict[str, dict[str, object]]) -> None:
    assert fits["driver"]["rounds"][0] == 9
    assert fits["driver"]["bits"] == fits["nothing"]["bits"]


def test_driver_and_executors_have_the_package_from_the_zip(fits: dict[str, dict[str, object]]) -> None:
    assert len(fits["package"]) == 2
    assert all("sparkgd.zip" in path for path in fits["package"])
