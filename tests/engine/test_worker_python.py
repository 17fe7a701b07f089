"""What a user is told of a Python on executors that cannot run tasks; tests/jobs/test_submit.py has such executors."""

from __future__ import annotations

import sys

import pytest

from sparkgd.engine.worker_python import worker_python_explained
from sparkgd.exceptions import WorkerPythonError


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("  File ...\nModuleNotFoundError: No module named 'numpy'\n", "No module named 'numpy'"),
        ("ModuleNotFoundError: No module named 'sparkgd.kernels'\n", "No module named 'sparkgd.kernels'"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.9 than that in driver: 3.11, PySpark "
            "cannot run with different minor versions.\nPlease check",
            "Python in worker has different version: 3.9 than that in driver: 3.11",
        ),
        ('java.io.IOException: Cannot run program "python9": error=2', 'Cannot run program "python9"'),
    ],
)
def test_the_reason_and_what_to_set_are_told(told, reason):
    with pytest.raises(WorkerPythonError) as refused, worker_python_explained():
        raise RuntimeError(told)
    assert f"({reason})" in str(refused.value)
    assert f"PYSPARK_PYTHON={sys.executable}" in str(refused.value)


@pytest.mark.parametrize("told", ["ModuleNotFoundError: No module named 'mine'", "disk full", ""])
def test_other_errors_pass(told):
    with pytest.raises(KeyError), worker_python_explained():
        raise KeyError(told)
