"""A driver killed in mid-fit by SIGKILL: another process goes on, and ends with the bits of a fit never disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import worker_environment

pytestmark = pytest.mark.cluster

SCRIPT = Path(__file__).parent.parent / "support" / "fit_that_is_killed.py"
INTERVAL = 10


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, str(SCRIPT), *map(str, arguments)], {**os.environ, **worker_environment()}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


def told(process: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("execution", ["cluster", "driver"])
def test_a_new_process_goes_on_to_the_same_bits(tmp_path, execution):
    expected = told(run("-", execution))
    assert run(tmp_path, execution, 17).returncode == -signal.SIGKILL
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.name == "round-000000010.checkpoint"
    resumed = told(run(tmp_path, execution))
    first = resumed.pop("rounds")[0]
    assert 17 - INTERVAL < first <= 17 + 1
    assert expected.pop("rounds")[0] == 1
    assert resumed == expected
    assert list(tmp_path.iterdir()) == [], "nothing is left of the checkpoints"
