"""What is said where there can be no Hadoop."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.hadoop.jars import Unavailable, hadoop_jars, java


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No cache, and a path without programs, which is returned."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return path


def test_without_java(nothing_there: Path) -> None:
    with pytest.raises(Unavailable, match="there is no Java"):
        java()


def test_without_maven(nothing_there: Path) -> None:
    with pytest.raises(Unavailable, match=r"minicluster.* is not in .*, and there is no mvn to fetch it"):
        hadoop_jars()


def test_maven_that_reaches_nothing(nothing_there: Path) -> None:
    maven = nothing_there / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] the registry does not answer'\nexit 1\n")
    maven.chmod(0o700)
    with pytest.raises(Unavailable, match=re.escape("[ERROR] the registry does not answer")):
        hadoop_jars()
    assert not list(nothing_there.parent.rglob("*.jar"))
