"""A full disk is an error that says which disk, how full, and what to do; nothing of the block stays behind."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sparkgd.data.columns import read_batch
from sparkgd.data.full_disk import FULL, disk_full_explained
from sparkgd.data.writer import BlockWriter, pack
from sparkgd.exceptions import DiskFullError, SparkGDError
from tests.support.environment import worker_environment
from tests.support.full_disk import full_disk


def batch(rows: int = 3, columns: int = 2):
    features = np.arange(float(rows * columns)).reshape(rows, columns)
    return read_batch(pa.RecordBatch.from_pydict({"features": features.tolist(), "label": [1.0] * rows}))


def files_in(directory: Path) -> list[Path]:
    """Blocks and their files; the fit's own directory is removed by its driver."""
    return list(directory.glob("sparkgd-fit/*"))


@pytest.mark.parametrize("names", [(), ("label",), ("weight", "values")], ids=str)
@pytest.mark.parametrize("rows", [3, 40_000], ids=["at the end", "at once"])
def test_a_full_disk_is_named_with_its_numbers_and_the_settings(tmp_path, names, rows):
    """Small columns wait in a buffer, so that they meet the full disk only when their files are closed."""
    with full_disk(names), pytest.raises(DiskFullError) as caught:
        pack([batch(rows)], tmp_path / "sparkgd-fit", "float64")
    for part in (str(tmp_path), "No space left on device", "MB are free", "spark.local.dir", "SPARK_LOCAL_DIRS"):
        assert part in str(caught.value)
    assert os.uname().nodename in str(caught.value)
    assert "at least 0.0 MB" not in str(caught.value) or rows == 3
    assert not files_in(tmp_path)


def test_statistics_that_find_no_room_leave_nothing(tmp_path, monkeypatch):
    def write_bytes(path, content):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(DiskFullError, match="quota"):
        pack([batch()], tmp_path / "sparkgd-fit", "float64")
    assert not files_in(tmp_path)


@pytest.mark.parametrize("number", sorted(FULL))
def test_the_error_is_one_of_ours_and_of_the_systems(tmp_path, number):
    with pytest.raises(SparkGDError) as caught, disk_full_explained(tmp_path / "gone" / "too", lambda: 3 << 20):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value, OSError)
    assert "at least 3.0 MB" in str(caught.value)
    assert os.strerror(number) in str(caught.value)


def test_other_failures_are_passed_on(tmp_path):
    error = OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken") as caught, disk_full_explained(tmp_path, lambda: 0):
        raise error
    assert caught.value is error


def test_a_file_that_cannot_be_written_is_closed_and_removed(tmp_path):
    writer = BlockWriter(tmp_path / "sparkgd-fit" / "block", "float64")

    def write() -> None:
        with writer:
            writer.add(batch())
            writer.handle()

    with full_disk(["label"]), pytest.raises(OSError, match="No space"):
        write()
    assert all(file.closed for file in writer._files.values())
    assert not files_in(tmp_path)


PACK = """
import sys
from pathlib import Path
from tests.data.test_full_disk import batch, pack
pack([batch(40_000)] * 20, Path(sys.argv[1]), "float64")
"""


def test_a_limit_of_the_system_is_met_while_writing(tmp_path):
    """A real process, whose files may not be longer than a megabyte."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    command = [sys.executable, "-c", PACK, str(tmp_path / "sparkgd-fit")]
    environment = {**os.environ, **worker_environment()}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, preexec_fn=limited)
    assert "DiskFullError: the local disk is full" in run.stderr
    assert "File too large" in run.stderr
    assert not files_in(tmp_path)
