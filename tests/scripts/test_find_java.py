"""scripts/find_java.sh, with made-up Javas."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.environment import ROOT

SCRIPT = ROOT / "scripts" / "find_java.sh"
TOOLS = ("sh", "cat", "sed", "head", "grep")


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def java(home: Path, version: str) -> Path:
    """A Java that knows its version and home."""
    told = f"    java.home = {home}\n    java.specification.version = {version}"
    return executable(home / "bin" / "java", f"cat >&2 <<'END'\n{told}\nEND")


def machine(tmp_path: Path, user: int = 1000) -> Path:
    """A folder to use as PATH: the usual tools, and nothing more."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (bin_ / tool).symlink_to(found)
    executable(bin_ / "id", f"echo {user}")
    return bin_


def find_java(path: Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path), **({"JAVA_HOME": str(home)} if home else {})}
    return subprocess.run(["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    path = machine(tmp_path)
    java(tmp_path / "on_path", "21")
    (path / "java").symlink_to(tmp_path / "on_path" / "bin" / "java")
    java(tmp_path / "named", "17")
    assert find_java(path, tmp_path / "named").stdout.strip() == str(tmp_path / "named")


def test_a_java_home_that_is_too_old_gives_way_to_the_path(tmp_path: Path) -> None:
    path = machine(tmp_path)
    java(tmp_path / "on_path", "21")
    (path / "java").symlink_to(tmp_path / "on_path" / "bin" / "java")
    for version in ("1.8", "11"):
        java(tmp_path / "old", version)
        assert find_java(path, tmp_path / "old").stdout.strip() == str(tmp_path / "on_path")


def test_without_java_one_line_says_what_to_install(tmp_path: Path) -> None:
    found = find_java(machine(tmp_path))
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert "Java 17 or newer" in found.stderr
    assert "openjdk-17-jre-headless" in found.stderr


def test_root_on_debian_gets_the_headless_runtime(tmp_path: Path) -> None:
    path = machine(tmp_path, user=0)
    home = tmp_path / "installed"
    installed = java(home, "21")
    executable(path / "apt-cache", '[ "$2" = openjdk-21-jre-headless ]')
    executable(path / "apt-get", f'echo apt-get "$@" >> {tmp_path / "calls"}')
    executable(path / "dpkg", f"echo {installed}")
    found = find_java(path)
    assert found.returncode == 0
    assert found.stdout.strip() == str(home)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0].startswith("apt-get update")
    assert calls[1].endswith("openjdk-21-jre-headless")


def test_where_installing_fails_the_line_says_what_to_install(tmp_path: Path) -> None:
    path = machine(tmp_path, user=0)
    executable(path / "apt-get", "exit 100")
    found = find_java(path)
    assert found.returncode == 1
    assert "Java 17 or newer" in found.stderr.splitlines()[-1]


def test_this_machine_has_a_java(tmp_path: Path) -> None:
    found = subprocess.run(["/bin/sh", str(SCRIPT)], env=dict(os.environ), capture_output=True, text=True, check=True)
    assert (Path(found.stdout.strip()) / "bin" / "java").exists()
