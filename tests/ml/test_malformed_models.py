"""Damaged model directories, by the hundred: a clear error, or a model."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml.linalg import DenseMatrix, Vectors
from pyspark.sql import SparkSession

from sparkgd.exceptions import ModelFormatError
from tests.support.malformed import ESTIMATORS, assert_finite, inputs, junk, only_clear_errors

ROWS = (
    "SELECT * FROM VALUES (array(0.5D, 1D), 1D), (array(-1D, 0D), 0D), (array(2D, 1D), 0D), (array(0D, -3D), 1D) "
    "AS t(features, label)"
)

DATA = ["interceptVector", "coefficientMatrix"]

SECTIONS = ("paramMap", "defaultParamMap", "fitParamMap", "fitDefaultParamMap")


@dataclass(frozen=True)
class Damage:
    """What happens to a saved model's files.

    Attributes
    ----------
    number : int
        Of the estimator whose model it is.
    data_of : int
        Of that whose coefficients it is given.
    edits : list of (str or None, str, JSON)
        Sections of the metadata (None for the top), entries of these, and what they are made; None deletes one.
    cut, flips : float or None, list of (float, int)
        Share of the metadata's bytes that stay; places where bits are flipped.
    flips_data : list of (float, int)
        The same of the file of coefficients.
    """

    number: int
    data_of: int
    edits: list[tuple[str | None, str, Any]]
    cut: float | None
    flips: list[tuple[float, int]]
    flips_data: list[tuple[float, int]]


@st.composite
def damages(draw):
    """Of one or two kinds."""
    number = draw(st.integers(0, len(ESTIMATORS) - 1))
    kinds = draw(
        st.lists(st.sampled_from(["data", "edit", "edit", "edit", "cut", "flip", "flip data"]), min_size=1, max_size=2)
    )
    share, bit = st.floats(0.0, 1.0, exclude_max=True), st.integers(0, 7)
    flips = st.lists(st.tuples(share, bit), min_size=1, max_size=3)
    names = st.sampled_from([
        "class", "uid", "formatVersion", "sparkVersion", "featureNames", "timestamp", *SECTIONS, "regParam", "family",
        "threshold", "thresholds", "featuresCol", "labelCol", "loss", "link", "solver", "tol", "unknown",
    ])  # fmt: skip
    edit = st.tuples(st.sampled_from([None, None, *SECTIONS]), names, junk.filter(is_json))
    return Damage(
        number,
        draw(st.integers(0, len(ESTIMATORS) - 1)) if "data" in kinds else number,
        draw(st.lists(edit, min_size=1, max_size=2)) if "edit" in kinds else [],
        draw(share) if "cut" in kinds else None,
        draw(flips) if "flip" in kinds else [],
        draw(flips) if "flip data" in kinds else [],
    )


def is_json(value: Any) -> bool:
    """Whether it can be written."""
    try:
        return bool(json.dumps(value))
    except (TypeError, ValueError):
        return False


def saved_models(spark: SparkSession, where: Path) -> list[tuple[type, Path]]:
    """A model of each estimator, and its directory; files without Hadoop's checksums, which would hide all damage."""
    df = spark.sql(ROWS)
    found = []
    for number, kind in enumerate(ESTIMATORS):
        model = kind(maxIter=3, regParam=0.1).fit(df)
        path = where / f"model-{number}"
        model.save(str(path))
        for checksum in path.rglob("*.crc"):
            checksum.unlink()
        found.append((type(model), path))
    return found


def damaged(saved: list[tuple[type, Path]], where: Path, damage: Damage) -> Any:
    """The model that is loaded from damaged files."""
    kind, source = saved[damage.number]
    path = where / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source, path)
    shutil.rmtree(path / "data")
    shutil.copytree(saved[damage.data_of][1] / "data", path / "data")
    file = next((path / "metadata").glob("part-*"))
    metadata = json.loads(file.read_text())
    for section, name, value in damage.edits:
        entries = metadata if section is None else metadata.get(section)
        if not isinstance(entries, dict):
            continue
        if value is None:
            entries.pop(name, None)
        else:
            entries[name] = value
    content = flipped(json.dumps(metadata).encode(), damage.flips)
    file.write_bytes(content if damage.cut is None else content[: int(damage.cut * len(content))])
    data = next((path / "data").glob("*.parquet"))
    data.write_bytes(flipped(data.read_bytes(), damage.flips_data))
    return kind.load(str(path))


def flipped(content: bytes, flips: list[tuple[float, int]]) -> bytes:
    """Bytes with bits flipped at shares of their length."""
    found = bytearray(content)
    for share, bit in flips:
        found[int(share * len(found))] ^= 1 << bit
    return bytes(found)


@pytest.fixture(scope="module")
def saved(spark, tmp_path_factory):
    return saved_models(spark, tmp_path_factory.mktemp("models"))


@inputs(150)
@given(damage=damages())
def test_a_damaged_model_is_refused_clearly_or_is_one(saved, damage):
    with only_clear_errors():
        assert_finite(damaged(saved, saved[0][1].parent, damage))


@pytest.mark.parametrize(
    ("intercepts", "told"), [([0.0, 1.0], "2 intercepts"), ([math.nan], "not finite"), ([math.inf], None)]
)
def test_coefficients_that_no_fit_returns_are_refused(spark, saved, tmp_path, intercepts, told):
    kind, source = saved[0]
    row = spark.createDataFrame([(Vectors.dense(intercepts), DenseMatrix(1, 2, [1.0, 2.0]))], DATA)
    shutil.copytree(source / "metadata", tmp_path / "metadata")
    row.write.parquet(str(tmp_path / "data"))
    if told is None:
        assert kind.load(str(tmp_path)).intercept == math.inf
    else:
        with pytest.raises(ModelFormatError, match=told):
            kind.load(str(tmp_path))
