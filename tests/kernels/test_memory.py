"""Chunks of a scan find the memory of those before, in a process that never had large arrays."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCAN = """
import resource
import numpy as np
from sparkgd.engine.partial import Work
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.questions.gradient import GradientKernel
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss

rows = 60_000
block = Block(DenseFeatures(np.ones((rows, 3))), np.ones(rows), np.ones(rows))
work = Work((GradientKernel(LogisticLoss(), CoefLayout(3), np.ones((4, 4))),), None, {})
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work.scan(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the threshold is glibc's")
def test_a_round_faults_no_pages_in_again():
    found = subprocess.run([sys.executable, "-c", SCAN], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) < 50
