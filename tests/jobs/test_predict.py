"""jobs/predict.py, run inside the session of the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import predict
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

from sparkgd.regression import LinearRegression
from tests.jobs.support import arguments, assert_one_line


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
    assert not (tmp_path / "p").exists()


@pytest.fixture(scope="module")
def by_names(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of two named columns: y = a + 2 b."""
    folder = tmp_path_factory.mktemp("by_names")
    rows = [(float(k % 7), float(k % 4), float(k % 7 + 2 * (k % 4))) for k in range(40)]
    data = spark.createDataFrame(rows, "a double, b double, label double")
    LinearRegression(featuresCols=["a", "b"]).fit(data).save(str(folder / "model"))
    return folder / "model"


@pytest.mark.parametrize(("invalid", "predictions"), [("skip", [3.0]), ("keep", [3.0, np.nan])])
def test_rows_with_nulls_are_scored_as_handle_invalid_has_it(
    spark: SparkSession, by_names: Path, tmp_path: Path, invalid: str, predictions: list[float]
) -> None:
    rows, output = rows_with_null(tmp_path), tmp_path / "p"
    options = {"--model": by_names, "--input": rows, "--output": output, "--handleInvalid": invalid}
    assert predict.main(arguments(options), spark) == 0
    written = sorted(row.prediction for row in spark.read.parquet(str(output)).collect())
    np.testing.assert_allclose(written, predictions, atol=1e-9)


def test_a_refused_row_is_one_line_and_leaves_no_directory(
    spark: SparkSession, by_names: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "p"
    options = {"--model": by_names, "--input": rows_with_null(tmp_path), "--output": output}
    assert predict.main(arguments(options), spark) == 2
    assert_one_line(capsys, "nothing was written: column 'b' is null in a row")
    assert not output.exists()


def test_a_vector_that_is_null_is_refused(
    spark: SparkSession, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = spark.createDataFrame([(Vectors.dense(1.0, 0.0, 1.0),)], ["features"])
    vectors.createOrReplaceTempView("vectors")
    spark.sql("SELECT * FROM vectors UNION ALL SELECT null").write.parquet(str(tmp_path / "rows.parquet"))
    options = {"--model": model, "--input": tmp_path / "rows.parquet", "--output": tmp_path / "p"}
    assert predict.main(arguments(options), spark) == 2
    assert_one_line(capsys, "nothing was written: column 'features' is null in a row")
    assert predict.main([*arguments(options), "--handleInvalid", "keep"], spark) == 0
    assert spark.read.parquet(str(tmp_path / "p")).count() == 2


def rows_with_null(folder: Path) -> Path:
    """Two rows, the second of which has no b."""
    path = folder / "rows.csv"
    path.write_text("a,b\n1,1\n2,\n")
    return path
