"""scripts/find_python.sh, with made-up Pythons."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.environment import ROOT

SCRIPT = ROOT / "scripts" / "find_python.sh"


def python(path: Path, new_enough: bool, has_venv: bool = True) -> None:
    """A Python that answers the questions of the script."""
    path.write_text(
        "#!/bin/sh\ncase $2 in\n"
        f"*version_info*3*10*) exit {0 if new_enough else 1} ;;\n"
        f"*ensurepip*) exit {0 if has_venv else 1} ;;\n"
        "*) echo python3.11-venv ;;\nesac\n"
    )
    path.chmod(0o755)


def find_python(path: Path, *names: str) -> subprocess.CompletedProcess[str]:
    (path / "id").write_text("#!/bin/sh\necho 1000\n")
    (path / "id").chmod(0o755)
    command = ["/bin/sh", str(SCRIPT), *names]
    return subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_the_default_python_comes_first(tmp_path: Path) -> None:
    for name in ("python3", "python3.11"):
        python(tmp_path / name, new_enough=True)
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3")


def test_a_named_version_where_the_default_is_too_old(tmp_path: Path) -> None:
    python(tmp_path / "python3", new_enough=False)
    python(tmp_path / "python3.12", new_enough=True)
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.12")


def test_a_python_without_venv_is_passed_over_unless_there_is_uv(tmp_path: Path) -> None:
    python(tmp_path / "python3", new_enough=True, has_venv=False)
    python(tmp_path / "python3.11", new_enough=True)
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3.11")
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    assert find_python(tmp_path).stdout.strip() == str(tmp_path / "python3")


@pytest.mark.parametrize(
    ("new_enough", "message"), [(False, "Python 3.10 or newer was not found"), (True, "python3 has no venv module")]
)
def test_otherwise_one_line_says_what_to_install(tmp_path: Path, new_enough: bool, message: str) -> None:
    python(tmp_path / "python3", new_enough=new_enough, has_venv=False)
    found = find_python(tmp_path)
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.startswith(message)
    assert found.stderr.count("\n") == 1
