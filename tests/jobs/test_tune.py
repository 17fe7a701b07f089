"""jobs/tune.py, run inside the session of the tests."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tune
from job_estimator import parse
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql import SparkSession
from tune_grid import read_grid
from tune_report import ranking, table

from sparkgd.classification import LinearSVC, LogisticRegression, LogisticRegressionModel
from sparkgd.regression import LinearRegression, LinearRegressionModel
from sparkgd.tuning import CrossValidator
from tests.jobs.support import arguments, assert_one_line


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file: two numbers, a fold, three classes, two classes, and a number to predict."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(240, 2)), columns=["first", "second"])
    margin = frame["first"] - 2.0 * frame["second"] + 0.3 * rng.logistic(size=240)
    frame["fold"] = np.arange(240) % 2
    frame["three"] = np.digitize(margin, [-1.0, 1.0])
    frame["label"] = (margin > 0.0).astype(int)
    frame["amount"] = margin
    path = tmp_path_factory.mktemp("data") / "data.csv"
    frame.to_csv(path, index=False)
    return path


def grid_file(folder: Path, grid: object, name: str = "grid.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(grid))
    return path


def test_a_search_saves_the_best_model_and_tells_all_trials(
    spark: SparkSession, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib, of the plot extra")
    grid = {"solver": ["gd"], "schedule": ["constant"], "stepSize": [1e-3, 0.5, 1e6]}
    model, report, trials, plot = (tmp_path / name for name in ("model", "out/r.json", "out/t.csv", "plots/p.png"))
    options = {"--input": data, "--task": "regression", "--labelCol": "amount", "--featuresCols": "first,second",
               "--grid": grid_file(tmp_path, grid), "--model": model, "--report": report, "--results": trials,
               "--plot": plot, "--progress": "false", "--test-fraction": "0.1"}  # fmt: skip
    assert tune.main(arguments(options), spark) == 0
    lines = capsys.readouterr().out.splitlines()
    start = next(k for k, line in enumerate(lines) if "std error" in line)
    assert lines[start].split() == ["solver", "schedule", "stepSize", "rmse", "std", "error", "rounds", "status"]
    assert lines[start + 1].split()[:4] == ["1", "gd", "constant", "0.5"]
    assert lines[start + 2].split()[:4] == ["2", "gd", "constant", "0.001"]
    assert lines[start + 3].split()[:4] == ["gd", "constant", "1e+06", "none"]
    assert "diverged: " in lines[start + 3]
    assert any(line.startswith("chosen     solver=gd, schedule=constant, stepSize=0.5, best of 3") for line in lines)
    np.testing.assert_allclose(LinearRegressionModel.load(str(model)).coefficients.toArray(), [1.0, -2.0], atol=0.2)
    assert json.loads(report.read_text())["search"]["chosen"] == {
        "solver": "gd",
        "schedule": "constant",
        "stepSize": 0.5,
    }
    assert len(pd.read_csv(trials)) == 9
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_it_chooses_as_the_cross_validator_does(spark: SparkSession, data: Path, tmp_path: Path) -> None:
    strengths = [0.01, 0.1, 1.0]
    results = tmp_path / "trials.json"
    options = {"--input": data, "--task": "regression", "--labelCol": "amount", "--foldCol": "fold", "--numFolds": "2",
               "--leave-out": "label,three", "--grid": grid_file(tmp_path, {"regParam": strengths}), "--metric": "mae",
               "--model": tmp_path / "model", "--results": results, "--test-fraction": "0"}  # fmt: skip
    assert tune.main(arguments(options), spark) == 0
    frame = spark.read.csv(str(data), header=True, inferSchema=True)
    estimator = LinearRegression(featuresCols=["first", "second"], labelCol="amount")
    evaluator = RegressionEvaluator(labelCol="amount", metricName="mae")
    maps = ParamGridBuilder().addGrid(estimator.regParam, strengths).build()
    validator = CrossValidator(
        estimator=estimator, estimatorParamMaps=maps, evaluator=evaluator, numFolds=2, foldCol="fold"
    )
    expected = validator.fit(frame)
    told = pd.DataFrame(json.loads(results.read_text()))
    assert told["metric"].tolist() == expected.results["metric"].tolist()
    assert LinearRegressionModel.load(str(tmp_path / "model")).coefficients == expected.bestModel.coefficients


@pytest.mark.parametrize(
    ("label", "more", "metric"),
    [("label", {"--trainRatio": "0.7"}, "areaUnderROC"), ("three", {"--stratify": None, "--numFolds": "2"}, "f1")],
)
def test_the_default_metric_is_that_of_the_labels(
    spark: SparkSession, data: Path, tmp_path: Path, label: str, more: dict[str, str | None], metric: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    options = {"--input": data, "--labelCol": label, "--featuresCols": "first,second", "--progress": "false",
               "--grid": grid_file(tmp_path, {"regParam": [0.01, 0.1]}), "--model": tmp_path / "model"}  # fmt: skip
    flags = [text for name, value in more.items() for text in (name, value) if text is not None]
    assert tune.main([*arguments(options), *flags], spark) == 0
    out = capsys.readouterr().out
    assert f"best of 2 by {metric}" in out
    assert ("std error" in out) == (metric == "f1")
    assert LogisticRegressionModel.load(str(tmp_path / "model")).numFeatures == 2


def test_losing_combinations_are_retired_and_come_after_those_that_were_not(
    spark: SparkSession, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--input": data, "--task": "regression", "--labelCol": "amount", "--featuresCols": "first,second",
               "--solver": "gd", "--maxIter": "8", "--tol": "0", "--progress": "false", "--halvingFactor": "2",
               "--grid": grid_file(tmp_path, {"stepSize": [1e-4, 1e-3, 0.1, 1e-2]}), "--numFolds": "2",
               "--model": tmp_path / "model"}  # fmt: skip
    assert tune.main(arguments(options), spark) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines() if line.strip()[:1] in ("1", "2", "3", "4")]
    assert [line[1] for line in lines] == ["0.1", "0.01", "0.001", "0.0001"]
    assert [line[-1] for line in lines] == ["iterations", "iterations", "retired", "retired"]
    assert "stepSize=0.1, best of 4" in out


def test_a_retired_combination_with_a_better_metric_is_no_better() -> None:
    told = {"map": [0, 1, 2, 3], "metric": [0.1, 0.3, math.nan, 0.2], "rounds": [1] * 4,
            "status": ["retired", "converged", "diverged", "converged"], "reason": [""] * 4}  # fmt: skip
    assert list(ranking(pd.DataFrame(told), 4, larger_is_better=False)["map"]) == [3, 1, 0, 2]


def test_several_grids_and_text_of_numbers(tmp_path: Path) -> None:
    grids = [{"regParam": ["1e-3", 1]}, {"regParam": [0.5], "elasticNetParam": [0, 1.0], "fitIntercept": [False]}]
    estimator = LogisticRegression()
    maps = read_grid(grid_file(tmp_path, grids), estimator, [])
    told = [{param.name: value for param, value in params.items()} for params in maps]
    assert told == [
        {"regParam": 0.001},
        {"regParam": 1.0},
        {"regParam": 0.5, "elasticNetParam": 0.0, "fitIntercept": False},
        {"regParam": 0.5, "elasticNetParam": 1.0, "fitIntercept": False},
    ]


def test_yaml_is_read_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = grid_file(tmp_path, {"maxIter": [5, 10]}, "grid.yaml")  # JSON is YAML
    monkeypatch.setitem(sys.modules, "yaml", SimpleNamespace(safe_load=json.loads, YAMLError=ValueError))
    assert [list(params.values()) for params in read_grid(path, LogisticRegression(), [])] == [[5], [10]]


WRONG_GRIDS = {
    "unknown param": (
        {"regparam": [1]},
        "LogisticRegression has no param 'regparam'; did you mean regParam? It has ",
    ),
    "far from any": ({"trees": [1]}, "has no param 'trees'; it has aggregationDepth, "),
    "column": ({"weightCol": ["w"]}, "weightCol names columns, which are the same for the whole grid"),
    "no list": ({"regParam": 0.1}, "regParam: 0.1 is no list; give one, such as [0.1]"),
    "empty list": ({"regParam": []}, "regParam has an empty list of values"),
    "type": ({"regParam": [0.1, "much"]}, "regParam: 'much' is not allowed: Could not convert much to float"),
    "boolean": ({"fitIntercept": [1]}, "fitIntercept: 1 is not allowed: "),
    "range": ({"regParam": [0.1, -1]}, "regParam=-1.0 is not allowed; give >= 0"),
    "twice": ({"maxIter": [5]}, "maxIter is in the grid and an option as well"),
    "number": (3, "a grid maps params to lists of values"),
    "empty": ({}, "a grid maps params to lists of values"),
    "no grids": ([], "a grid maps params to lists of values"),
}


@pytest.mark.parametrize(("grid", "message"), WRONG_GRIDS.values(), ids=list(WRONG_GRIDS))
def test_a_wrong_grid_is_one_line_before_spark_starts(
    grid: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job_session.start_session", lambda name, remote: pytest.fail("Spark was started"))
    options = {"--input": "x.csv", "--model": "m", "--maxIter": "9", "--grid": grid_file(tmp_path, grid)}
    assert tune.main(arguments(options)) == 2
    assert_one_line(capsys, message)


WRONG_FILES = {
    "missing.json": (None, "cannot read --grid "),
    "grid.txt": ("{}", "its name must end in .json, .yaml or .yml"),
    "grid.json": ("{", "is no json: "),
    "grid.yaml": ("{}", "reading 'grid.yaml' needs PyYAML"),
}


@pytest.mark.parametrize(("name", "text", "message"), [(name, *found) for name, found in WRONG_FILES.items()])
def test_a_file_that_cannot_be_read_is_one_line(
    name: str, text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert tune.main(arguments({"--input": "x.csv", "--model": "m", "--grid": path})) == 2
    assert_one_line(capsys, message)


WRONG_OPTIONS = {
    "two ways": (["--trainRatio", "0.5", "--numFolds", "3"], "--trainRatio is for one split"),
    "strata": (["--foldCol", "f", "--stratify"], "--stratify cannot be used with --foldCol"),
    "ratio": (["--trainRatio", "1"], "--trainRatio 1 is not allowed"),
    "folds": (["--numFolds", "1"], "--numFolds 1 is not allowed"),
    "factor": (["--halvingFactor", "1"], "--halvingFactor 1 is not allowed"),
    "first rung": (["--halvingMinIter", "3"], "--halvingMinIter is a number of iterations from 1 on, and needs"),
    "metric": (["--metric", "rmse"], "--metric 'rmse' is not allowed; give one of areaUnderROC, "),
    "results": (["--results", "r.txt"], "must end in .csv or .json"),
    "no grid": ([], "the following arguments are required: --grid"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_OPTIONS.values(), ids=list(WRONG_OPTIONS))
def test_wrong_options_are_one_line_before_spark_starts(
    wrong: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("job_session.start_session", lambda name, remote: pytest.fail("Spark was started"))
    grid = ["--grid", str(grid_file(tmp_path, {"regParam": [1]}))] if wrong else []
    assert tune.main(["--input", "x.csv", "--model", "m", *grid, *wrong]) == 2
    assert_one_line(capsys, message)


def test_log_loss_needs_probabilities(tmp_path: Path) -> None:
    grid = str(grid_file(tmp_path, {"regParam": [1]}))
    argv = ["--input", "x", "--model", "y", "--grid", grid, "--metric", "logLoss"]
    tune.check(*parse(argv, tune.parser))
    with pytest.raises(Exception, match="'logLoss' is not allowed"):
        tune.check(*parse([*argv, "--estimator", LinearSVC.__name__], tune.parser))


def test_a_fold_without_a_metric_puts_a_map_last_with_its_reason() -> None:
    estimator = LinearRegression()
    maps = ParamGridBuilder().addGrid(estimator.regParam, [0.1, 1.0]).build()
    trials = pd.DataFrame(
        [(0, 0, 5.0, "converged", "", 4), (0, 1, 1.0, "converged", "", 4),
         (1, 0, 3.0, "converged", "", 6), (1, 1, np.nan, "refused", "no rows", 0)],
        columns=["fold", "map", "metric", "status", "reason", "rounds"],
    )  # fmt: skip
    ranked = ranking(trials, 2, larger_is_better=False)
    assert ranked["map"].tolist() == [0, 1]
    assert [line.split() for line in table(ranked, maps, "rmse")] == [
        ["regParam", "rmse", "std", "error", "rounds", "status"],
        ["1", "0.1", "4", "1", "5", "converged"],
        ["1", "none", "2", "1", "converged,", "1", "refused:", "no", "rows"],
    ]
