"""The one Hadoop cluster of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.hadoop.cluster import HadoopCluster
from scripts.hadoop.jars import Unavailable
from scripts.hadoop.processes import processes_in


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HadoopCluster]:
    """HDFS and YARN with two nodes each; nothing of them runs afterwards."""
    scratch = tmp_path_factory.mktemp("hadoop")
    try:
        cluster = HadoopCluster(scratch)
    except Unavailable as reason:
        pytest.skip(f"no Hadoop cluster: {reason}")
    with cluster:
        yield cluster
    assert processes_in(scratch) == []
