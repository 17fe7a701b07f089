"""Blocks larger than a container of YARN, which kills those that take more memory than they have asked for.

Its monitor counts mapped pages as the container's, although the system could drop them at any time.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from scripts.hadoop.cluster import HadoopCluster
from tests.hadoop import fit_larger_than_container as job
from tests.support.yarn import submit, told

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning"),
]

ROWS, COLUMNS = 2_000_000, 100
CONTAINER = 1408
"""Megabytes of the only executor; the blocks take 1600."""

SECONDS = 900
"""Limit of one run: with ``map`` every round takes several containers, one after the other."""


@pytest.fixture(scope="module")
def expected(spark: SparkSession) -> list[str]:
    """The bits without YARN."""
    bits: list[str] = job.fit(job.frame(spark, ROWS, COLUMNS), "map")["bits"]
    return bits


def run(hadoop: HadoopCluster, package: Path, cwd: Path, access: str) -> dict[str, object]:
    settings = {
        "spark.executor.instances": 1,
        "spark.executor.memoryOverhead": f"{CONTAINER - 480}m",
        "spark.task.maxFailures": 20,  # a task that is killed with its container has failed
    }
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    ended = submit(
        hadoop, *options, "--py-files", package, job.__file__, ROWS, COLUMNS, access, cwd=cwd, seconds=SECONDS
    )
    assert ended.returncode == 0, told(ended)
    found: dict[str, object] = json.loads(
        next(line for line in ended.stdout.splitlines() if line.startswith('{"bits"'))
    )
    assert found["blocks"] > CONTAINER << 20
    return found


def test_read_stays_within_a_container_smaller_than_its_blocks(
    hadoop: HadoopCluster, package: Path, expected: list[str], tmp_path: Path
) -> None:
    found = run(hadoop, package, tmp_path, "read")
    assert found["gone"] == []
    assert found["bits"] == expected


def test_map_is_killed_for_its_pages_and_goes_on_to_the_same_bits(
    hadoop: HadoopCluster, package: Path, expected: list[str], tmp_path: Path
) -> None:
    """Container after container: what is lost with one is packed again in the next."""
    found = run(hadoop, package, tmp_path, "map")
    assert any("exceeding physical memory limits" in reason for reason in found["gone"])
    assert found["bits"] == expected
