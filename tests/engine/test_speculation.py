"""A task that takes twenty times as long is overtaken by a copy of it on another host, with the same bits.

Blocks are not looked for: a task that was overtaken in the last round may write until it notices that it was killed.
What it leaves goes with the next fit. Seconds are not compared: where Python workers take longer to start than Spark
lets a killed task live (2 s), a copy may overtake them again and again, also in a fit that nobody slows down.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.environment import worker_environment
from tests.support.fit_on_two_hosts import ROUNDS

pytestmark = pytest.mark.cluster

SCRIPT = Path(__file__).parent.parent / "support" / "fit_on_two_hosts.py"


def test_a_slow_executor_changes_no_bit():
    environment = {**os.environ, **worker_environment()}
    command = [sys.executable, str(SCRIPT)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout.splitlines()[-1])
    normal, slow = told["normal"], told["slow"]
    assert told["slowed"]
    assert told["copies"] > 0
    assert len(normal["objectives"]) == ROUNDS + 1
    assert slow["coefficients"] == normal["coefficients"]
    assert slow["objectives"] == normal["objectives"]
