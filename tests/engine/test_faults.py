"""What happens to the processes and files of a real multi-process cluster in mid-fit changes not one bit.

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
from tests.support.fit_on_a_cluster import FAULTS, ROUNDS

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


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "nothing"])
def test_the_result_is_the_same_bit_by_bit(fits, fault):
    disturbed, undisturbed = fits[fault], fits["nothing"]
    assert disturbed["happened"]
    assert len(undisturbed["objectives"]) == ROUNDS + 1
    assert disturbed["coefficients"] == undisturbed["coefficients"]
    assert disturbed["objectives"] == undisturbed["objectives"]


@pytest.mark.parametrize("fault", FAULTS)
def test_no_block_stays_behind(fits, fault):
    """Right after the fit, where an executor lives on every machine that had one.

    What a lost executor has left on a machine without any goes only when Spark removes the application's directory.
    """
    assert fits[fault]["blocks seen"] > 0
    assert fits[fault]["blocks left"] == []
