"""Killing a Python worker and an executor of a real multi-process cluster in mid-fit changes not one bit.

The cluster runs in a process of its own; the processes that are killed are found by descent from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import worker_environment

pytestmark = pytest.mark.cluster

SCRIPT = Path(__file__).parent.parent / "support" / "fit_on_a_cluster.py"


@pytest.fixture(scope="module")
def fits() -> dict[str, dict[str, object]]:
    """Result of an undisturbed fit, and of one disturbed in each way, from one cluster."""
    command = [sys.executable, str(SCRIPT)]
    environment = {**os.environ, **worker_environment()}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("victim", ["python worker", "executor"])
def test_the_result_is_the_same_bit_by_bit(fits, victim):
    disturbed, undisturbed = fits[victim], fits["nothing"]
    assert disturbed["killed"], f"no {victim} was found to kill"
    assert disturbed["coefficients"] == undisturbed["coefficients"]
    assert disturbed["objectives"] == undisturbed["objectives"]
    assert disturbed["status"] == undisturbed["status"] == "converged"


def test_no_block_stays_behind(fits):
    assert all(fit["blocks seen"] > 0 for fit in fits.values())
    assert [fit["blocks left"] for fit in fits.values()] == [0] * 3
