"""jobs/predict.py, run inside the session of the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import predict
import pytest
from pyspark.sql import SparkSession

from sparkgd.regression import LinearRegression


@pytest.fixture(scope="module")
def model(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of three features of a libsvm file: y = x_1 + 2 x_3."""
    folder = tmp_path_factory.mktemp("model")
    rows = [(k % 7, k % 4, k % 5) for k in range(40)]
    (folder / "train.libsvm").write_text("".join(f"{a + 2 * c} 1:{a} 2:{b} 3:{c}\n" for a, b, c in rows))
    data = spark.read.format("libsvm").load(str(folder / "train.libsvm"))
    LinearRegression().fit(data).save(str(folder / "model"))
    return folder / "model"


def test_libsvm_rows_that_lack_the_last_feature(spark: SparkSession, model: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.libsvm"
    rows.write_text("0 1:3\n0 2:1\n")
    output = tmp_path / "predictions"
    assert predict.main(["--model", str(model), "--input", str(rows), "--output", str(output)], spark) == 0
    written = spark.read.parquet(str(output)).collect()
    np.testing.assert_allclose([row.prediction for row in written], [3.0, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"--model": "missing"}, "--model 'missing' is not a model directory"),
        ({"--input": "missing.csv"}, "PATH_NOT_FOUND"),
        ({"--format": "text"}, "featuresCol='features' does not exist"),
        ({"--output": "."}, "'.' exists; give another path or --overwrite"),
    ],
)
def test_a_wrong_input_is_one_line(
    spark: SparkSession, model: Path, tmp_path: Path, wrong: dict[str, str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = tmp_path / "rows.libsvm"
    rows.write_text("0 1:3\n")
    options = {"--model": str(model), "--input": str(rows), "--output": str(tmp_path / "p"), **wrong}
    assert predict.main([text for option in options.items() for text in option], spark) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
