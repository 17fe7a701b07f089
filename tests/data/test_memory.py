"""A block three times larger than the memory of the process: mapped and read, the same bits, and little resident."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.environment import worker_environment

ROOM = 100 << 20
"""Private memory that the process may still take when it begins to scan."""

ROWS, COLUMNS = 400_000, 100

SCAN = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from sparkgd.data.blockfile import BlockHandle, block_of
from sparkgd.questions.gradient import GradientKernel
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))

path, rows, columns, room = Path(sys.argv[1]), *map(int, sys.argv[2:])
handle = BlockHandle(str(path), "here", rows, rows * columns, columns, "float64", True, (), {}, ())
kernel = GradientKernel(LogisticLoss(), CoefLayout(columns), np.full((1, columns + 1), 0.01))
kernel(block_of(handle.slice(0, 5000)))  # what imports and BLAS take does not count
limit = status("VmData") + room
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
before = status("VmHWM")
found = {}
for access in ("read", "map"):
    sums = kernel(block_of(replace(handle, access=access)))
    found[access] = [sums.gradient.tobytes().hex(), sums.value.tobytes().hex()]
    found[access + " resident"] = status("VmHWM") - before
found["size"] = handle.num_bytes
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_block_larger_than_memory_is_scanned_with_little_resident(tmp_path):
    block = tmp_path / "block"
    block.mkdir()
    for name, columns in (("values", COLUMNS), ("label", 1), ("weight", 1)):
        with open(block / name, "wb") as file:
            file.write(np.random.default_rng(columns).random(1 << 16).tobytes())
            file.truncate(8 * ROWS * columns)  # the rest are zeros that take no disk
    command = [sys.executable, "-c", SCAN, str(block), str(ROWS), str(COLUMNS), str(ROOM)]
    environment = {**os.environ, **worker_environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["size"] > 3 * ROOM
    assert found["read"] == found["map"]
    assert found["read resident"] < ROOM
