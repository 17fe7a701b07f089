"""jobs/train.py, run inside the session of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import train
from job_columns import choose
from job_estimator import TASKS, estimators_of, parse, split
from pyspark.sql import SparkSession

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.regression import LinearRegressionModel
from tests.jobs.support import assert_one_line


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file: three numbers, a text, a weight, a class and a number to predict."""
    rng = np.random.default_rng(0)
    rows = 200
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["first", "second", "third"])
    margin = frame["first"] - 2.0 * frame["second"] + 0.5
    frame["text"] = "x"
    frame["weight"] = rng.uniform(0.5, 2.0, rows)
    frame["label"] = (margin + rng.logistic(size=rows) > 0.0).astype(int)
    frame["amount"] = margin + 0.01 * rng.normal(size=rows)
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path


def test_regression_from_csv_with_weights(spark: SparkSession, table: Path, tmp_path: Path) -> None:
    model, report = tmp_path / "model", tmp_path / "deep" / "report.json"
    code = train.main(
        ["--task", "regression", "--input", str(table), "--labelCol", "amount", "--weightCol", "weight",
         "--featuresCols", "first,second,third", "--model", str(model), "--report", str(report), "--progress", "false"],
        spark,
    )  # fmt: skip
    assert code == 0
    loaded = LinearRegressionModel.load(str(model))
    np.testing.assert_allclose(loaded.coefficients.toArray(), [1.0, -2.0, 0.0], atol=0.01)
    told = json.loads(report.read_text())
    assert told["status"] == "converged"
    assert told["heldOut"]["R2"] > 0.99
    assert told["rows"] + told["heldOut"]["rows"] == 200
    assert told["objectiveHistory"][-1] == told["objective"]


def test_libsvm_and_a_table_give_the_same_model(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "rows.libsvm"
    path.write_text("".join(f"{k % 3 % 2} 1:{k % 7} 3:{k % 5}\n" for k in range(60)))
    spark.read.format("libsvm").load(str(path)).coalesce(1).createOrReplaceTempView("rows_of_a_table")
    options = ["--regParam", "0.1", "--test-fraction", "0", "--progress", "false", "--model"]
    assert train.main(["--input", str(path), *options, str(tmp_path / "a")], spark) == 0
    assert train.main(["--input", "rows_of_a_table", *options, str(tmp_path / "b")], spark) == 0
    a, b = (LogisticRegressionModel.load(str(tmp_path / name)) for name in "ab")
    assert a.numFeatures == 3
    np.testing.assert_allclose(a.coefficients.toArray(), b.coefficients.toArray(), rtol=1e-12)


def test_all_numeric_columns_are_features_unless_they_have_another_role(spark: SparkSession, table: Path) -> None:
    estimator = LogisticRegression(weightCol="weight")
    choice = choose(spark.read.csv(str(table), header=True, inferSchema=True), estimator, [], {})
    assert choice.features == ["first", "second", "third", "amount"]


def test_the_same_seed_gives_the_same_split(spark: SparkSession) -> None:
    data = spark.range(100)
    first, second, other = (split(data, 0.3, seed)[1] for seed in (1, 1, 2))
    assert first is not None
    assert second is not None
    assert other is not None
    assert first.collect() == second.collect() != other.collect()


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in TASKS for name in estimators_of(task)])
def test_every_param_of_every_estimator_is_an_option(task: str, name: str) -> None:
    argv = ["--input", "x", "--model", "y", "--task", task, "--estimator", name]
    _, estimator = parse(argv, train.parser)
    assert type(estimator).__name__ == name
    text = train.parser(estimator).format_help()
    assert [param.name for param in estimator.params if f"--{param.name} " not in text] == []


def test_options_are_converted_as_the_params_say() -> None:
    texts = {
        "regParam": ("1e-3", 1e-3),
        "maxIter": ("7", 7),
        "fitIntercept": ("False", False),
        "solver": ("gd", "gd"),
        "featuresCols": ("a, b", ["a", "b"]),
        "initialCoefficients": ("[1, -2]", [[1.0, -2.0]]),
        "initialIntercept": ("-0.5", [-0.5]),
        "thresholds": ("[0.3, 0.7]", [0.3, 0.7]),
    }
    argv = ["--input", "x", "--model", "y"]
    for name, (text, _) in texts.items():
        argv += [f"--{name}", text]
    _, estimator = parse(argv, train.parser)
    assert {name: estimator.getOrDefault(name) for name in texts} == {name: value for name, (_, value) in texts.items()}


WRONG_OPTIONS = {
    "unknown": (["--regparam", "1"], "'--regparam'; did you mean --regParam?"),
    "no number": (["--regParam", "much"], "Could not convert much to float"),
    "no integer": (["--maxIter", "1.5"], "Could not convert 1.5 to int"),
    "no boolean": (["--fitIntercept", "perhaps"], "bool"),
    "out of range": (["--regParam", "-1"], "regParam=-1.0 is not allowed; give >= 0"),
    "solver": (["--solver", "magic"], "solver='magic' is not allowed; give one of 'auto'"),
    "task": (["--task", "clustering"], "choose from"),
    "estimator": (["--estimator", "Forest"], "'Forest' is unknown; for classification there are"),
    "read option": (["--read-option", "sep"], "'sep' is not NAME=VALUE"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_OPTIONS.values(), ids=list(WRONG_OPTIONS))
def test_a_wrong_option_is_one_line_before_spark_starts(
    wrong: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job_session.start_session", lambda name, remote: pytest.fail("Spark was started"))
    assert train.main(["--input", "x.csv", "--model", "m", *wrong]) == 2
    assert_one_line(capsys, message)


WRONG_INPUTS = {
    "path": ({"--input": "missing.csv"}, "PATH_NOT_FOUND"),
    "table": ({"--input": "missing"}, "TABLE_OR_VIEW_NOT_FOUND"),
    "ending": ({"--input": "some/rows.dat"}, "cannot tell the format of 'some/rows.dat'"),
    "format": ({"--format": "nonsense"}, "Failed to find the data source: nonsense"),
    "no libsvm": ({"--format": "libsvm"}, "as libsvm"),
    "leave out": ({"--leave-out": "missing"}, "--leave-out='missing' does not exist"),
    "category": ({"--categoricalCols": "missing"}, "--categoricalCols='missing' does not exist"),
    "label": ({"--labelCol": "missing"}, "labelCol='missing' does not exist"),
    "feature": ({"--featuresCols": "first,missing"}, "featuresCols='missing' does not exist"),
    "type": ({"--featuresCols": "first,text"}, "'text' has type string; it must be a number"),
    "label range": ({"--labelCol": "amount"}, "some of them fractional"),
    "fraction": ({"--test-fraction": "1"}, "--test-fraction 1 is not allowed"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_INPUTS.values(), ids=list(WRONG_INPUTS))
def test_a_wrong_input_is_one_line(
    spark: SparkSession, table: Path, tmp_path: Path, wrong: dict[str, str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = {"--input": str(table), "--featuresCols": "first,second", "--model": str(tmp_path / "m"), **wrong}
    assert train.main([text for option in options.items() for text in option], spark) == 2
    assert_one_line(capsys, message)
    assert not (tmp_path / "m").exists()


def test_an_existing_model_is_kept_unless_told_otherwise(
    spark: SparkSession, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    argv = ["--input", str(table), "--featuresCols", "first", "--test-fraction", "0", "--model", str(model)]
    assert train.main(argv, spark) == 2
    assert_one_line(capsys, "exists; give another path or --overwrite")
    assert train.main([*argv, "--overwrite"], spark) == 0
    assert LogisticRegressionModel.load(str(model)).numFeatures == 1


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_divergence_is_one_line_and_exit_code_1(
    spark: SparkSession, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = train.main(
        ["--task", "regression", "--input", str(table), "--labelCol", "amount", "--featuresCols", "first",
         "--solver", "gd", "--schedule", "constant", "--stepSize", "1e6", "--progress", "false",
         "--model", str(tmp_path / "m")],
        spark,
    )  # fmt: skip
    assert code == 1
    assert_one_line(capsys, "LinearRegression diverged")


def test_a_plot_without_matplotlib_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train.main(["--input", "x.csv", "--model", "m", "--plot", "curve.png"]) == 2
    assert_one_line(capsys, "--plot needs matplotlib: pip install 'sparkgd[plot]'")
