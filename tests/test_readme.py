"""What the README shows runs, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sparkgd.solvers.registry import SOLVERS
from tests.support.environment import ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_python_blocks_run_in_order(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sklearn", reason="the example's data ship with scikit-learn, of the demo extra")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "readme"}
    shown = []
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"README block {number}", "exec"), names)
        shown.append(capsys.readouterr().out)
    example, ending, learned, kept, told, tuned, path, own_loss, errors = shown
    assert "status      converged: " in example
    assert "|label|prediction|" in example
    assert "stopped early - " in ending
    assert " nearly as " in learned
    assert kept.startswith("round 11\n")
    assert "std error" in told
    assert "exp(-" in told
    assert "converged" in tuned
    assert "regParam elasticNetParam" in tuned
    assert "converged" in path
    assert "a step size to begin with: 0." in path
    assert "converged" in own_loss
    assert "'radius'" in errors
    assert "'adam'" in errors
    assert all(repr(solver) in errors for solver in SOLVERS)
    assert names["warm"].fit(names["train"]).summary.status == "converged"


def test_the_example_is_short() -> None:
    assert len([line for line in BLOCKS[0].splitlines() if line]) <= 12


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^ +)make ([a-z-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_files_exist() -> None:
    named = re.findall(r"`((?:sparkgd|jobs|notebooks|training|engine|data)/[\w./]*)`", README)
    assert named
    assert [path for path in named if not ((ROOT / path).exists() or (ROOT / "sparkgd" / path).exists())] == []


def test_solvers_of_the_table_exist() -> None:
    section = README.split("## Which solver")[1].split("\n## ")[0]
    named = re.findall(r"^\| `(?!solver)([\w-]+)` \|", section, re.MULTILINE)
    assert named
    assert set(named) <= set(SOLVERS)
