"""Real data sets and their reference optima, from the shared data directory beside the checkout.

The directory is ``SPARKGD_SHARED``, else ``shared/data`` beside the checkout. Tests that need a set which is not there
are skipped with that reason.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from tests.support.environment import ROOT

Array = npt.NDArray[np.float64]

SHARED = Path(os.environ.get("SPARKGD_SHARED") or ROOT.parent / "shared" / "data")


@dataclass(frozen=True)
class Problem:
    """One line of ``reference_optima.jsonl`` (its fields are described beside it)."""

    id: str
    dataset: str
    loss: str
    reg: float
    alpha: float
    standardization: bool
    intercept: bool
    objective: float


@cache
def all_problems() -> tuple[Problem, ...]:
    """All reference problems; none where the shared data are absent."""
    path = SHARED / "reference_optima.jsonl"
    if not path.is_file():
        return ()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = Problem.__dataclass_fields__
    return tuple(Problem(**{name: line[name] for name in names}) for line in lines if names.keys() <= line.keys())


def file_of(name: str) -> Path:
    """The file of a data set, skipping the test where it is absent."""
    for ending in ("libsvm.gz", "svm.xz", "csv.gz"):
        path = SHARED / f"{name}.{ending}"
        if path.is_file():
            return path
    return pytest.skip(f"data set {name} is not in {SHARED}; set SPARKGD_SHARED to the shared data directory")


def unpacked(name: str, directory: Path) -> Path:
    """The data set as a plain libsvm file in ``directory``, for readers that cannot unpack it."""
    path, target = file_of(name), directory / f"{name}.libsvm"
    if not target.exists():
        opener = lzma.open if path.suffix == ".xz" else gzip.open
        with opener(path, "rb") as source:
            target.write_bytes(source.read())
    return target


BUNDLED = ("breast_cancer", "wine", "diabetes", "digits", "iris")
"""Sets that scikit-learn has too."""


def load_or_bundled(name: str) -> tuple[Array, Array]:
    """Dense features and label of a data set, where it is absent those that scikit-learn has, if it has."""
    if name not in BUNDLED or any(SHARED.glob(f"{name}.*")):
        features, label = load(name)
        return features.toarray(), label
    from sklearn import datasets

    options = {"scaled": False} if name == "diabetes" else {}
    found: tuple[Array, Array] = getattr(datasets, f"load_{name}")(return_X_y=True, **options)
    return found[0], found[1].astype(np.float64)


@cache
def load(name: str) -> tuple[sparse.csr_array, Array]:
    """Features and label of a data set; unpacked at most once a session."""
    path = file_of(name)
    if path.name.endswith(".csv.gz"):
        return _load_csv(path)
    opener = lzma.open if path.suffix == ".xz" else gzip.open
    with opener(path, "rb") as source:
        text = source.read()
    lines = text.splitlines()
    entries = np.array([line.count(b":") for line in lines], dtype=np.int64)
    numbers = np.array(text.replace(b":", b" ").split(), dtype=np.float64)
    starts = np.concatenate([[0], np.cumsum(1 + 2 * entries)])
    is_label = np.zeros(len(numbers), dtype=bool)
    is_label[starts[:-1]] = True
    pairs = numbers[~is_label].reshape(-1, 2)
    indices = pairs[:, 0].astype(np.int32) - 1
    indptr = np.concatenate([[0], np.cumsum(entries)])
    width = int(indices.max()) + 1
    return sparse.csr_array((pairs[:, 1].copy(), indices, indptr), shape=(len(lines), width)), numbers[is_label]


def _load_csv(path: Path) -> tuple[sparse.csr_array, Array]:
    """Label in the first column; a column of words becomes one column for each word but the first (in file order)."""
    with gzip.open(path, "rt") as source:
        rows = [line.strip().split(",") for line in source][1:]
    columns: list[Array] = []
    for words in zip(*rows, strict=True):
        try:
            columns.append(np.array(words, dtype=np.float64))
        except ValueError:
            levels = list(dict.fromkeys(words))[1:]
            columns.extend(np.array([word == level for word in words], dtype=np.float64) for level in levels)
    return sparse.csr_array(np.column_stack(columns[1:])), columns[0]
