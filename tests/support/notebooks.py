"""Running notebooks. ``python -m tests.support.notebooks`` runs all of them and stores what they show."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.environment import ROOT, worker_environment

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 300


class OwnKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernels are installed; nbclient ends what it has made itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **{**settings, "kernel_name": "python3"}, kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
        )


def run_notebook(path: Path, directory: Path) -> NotebookNode:
    """The notebook as this interpreter runs it in a directory, from a clean state.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_manager_class=OwnKernel,
        timeout=CELL_SECONDS,
        resources={"metadata": {"path": str(directory)}},
    )
    return client.execute(env={**os.environ, **worker_environment()})


def without_logs(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what Spark's JVM writes to stderr, and without times of execution."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


if __name__ == "__main__":
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as scratch:
            nbformat.write(without_logs(run_notebook(path, Path(scratch))), path)
        print(f"{path.relative_to(ROOT)}: run and stored")
