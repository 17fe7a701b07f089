"""Every notebook runs from a clean state; what is stored with it is fit to be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks need nbclient and ipykernel, of the dev extra")

from tests.support.notebooks import NOTEBOOKS, run_notebook  # noqa: E402

MACHINE = re.compile(r"/home/|/root/|/tmp/|/usr/|/opt/|/mnt/|site-packages|[A-Z]:\\")


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = run_notebook(path, tmp_path)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    warnings = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr" and "Warning" in output.text
    ]
    assert warnings == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_complete_and_clean(path: Path) -> None:
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run tests.support.notebooks"
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        assert not MACHINE.search(text), text


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
