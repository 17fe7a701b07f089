"""A Python on executors that cannot run tasks: what the user is told."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sparkgd.exceptions import WorkerPythonError

TOLD = re.compile(
    r"ModuleNotFoundError: (No module named '(?:sparkgd|numpy|scipy|pyarrow|pandas|pyspark)\b[^']*')"
    r"|PYTHON_VERSION_MISMATCH\]? (Python in worker has different version[^.]*\.\d+[^.]*\.\d+)"
    r'|(Cannot run program "[^"]*")'
)
"""What Spark tells of a task whose Python lacks what every task imports, is of another version, or is not there."""


@contextmanager
def worker_python_explained() -> Iterator[None]:
    """Say of a job that failed because of the executors' Python what to set.

    Raises
    ------
    WorkerPythonError
    """
    try:
        yield
    except Exception as error:  # Spark's interfaces have no error of failed jobs in common
        told = TOLD.search(str(error))
        if told is None:
            raise
        reason = next(filter(None, told.groups()))
        raise WorkerPythonError(
            f"the Python that Spark starts on executors cannot run sparkgd ({reason}): it is 'python3' there unless "
            f"PYSPARK_PYTHON names another. On one machine set PYSPARK_PYTHON={sys.executable} before Spark starts; "
            "for a cluster see 'On a cluster' in the README"
        ) from error
