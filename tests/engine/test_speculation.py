"""A task that takes twenty times as long is overtaken by a copy of it on another host, with the same bits.

What that costs is Spark's: it waits ``spark.speculation.minTaskRuntime`` before it starts a copy, kills the original's
Python worker, for which it takes up to four seconds, and has the next task there start another.
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

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SCRIPT = Path(__file__).parent.parent / "support" / "fit_on_two_hosts.py"


def test_a_slow_task_changes_no_bit_and_takes_less_than_twice_the_time():
    environment = {**os.environ, **worker_environment()}
    command = [sys.executable, str(SCRIPT)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout.splitlines()[-1])
    normal, slow = told["normal"], told["slow"]
    assert told["slowed"] == 1
    assert told["copies"] > 0
    assert len(normal["objectives"]) == ROUNDS + 1
    assert slow["coefficients"] == normal["coefficients"]
    assert slow["objectives"] == normal["objectives"]
    assert slow["seconds"] < 2 * normal["seconds"], (slow["ends"], normal["ends"])
