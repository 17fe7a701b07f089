"""What jobs/train.py makes of columns: features, ids, categories, text and boolean labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import predict
import pytest
import train
import tune
from job_columns import choose, look, told
from job_pipeline import PREDICTED
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from sparkgd.regression import LinearRegression
from tests.jobs.support import arguments, assert_one_line

CITIES = {"Ghent": 1.0, "Oslo": -1.0, "Rome": 3.0}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = 300
    table = pd.DataFrame({"customer": np.arange(rows) + 7000, "age": rng.integers(20, 60, rows)})
    table["income"] = rng.normal(size=rows)
    table["city"] = rng.choice(list(CITIES), rows)
    table["name"] = [f"name {k}" for k in range(rows)]
    table["day"] = pd.Timestamp("2020-01-01")
    table["spent"] = table["income"] + table["city"].map(CITIES)
    table["bought"] = np.where(table["spent"] + rng.logistic(size=rows) > 1.0, "yes", "no")
    table["returns"] = table["bought"] == "yes"
    return table


@pytest.fixture(scope="module")
def source(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "customers.parquet"
    frame.to_parquet(path)
    return path


def test_what_is_left_out_has_a_reason_and_an_id_a_warning(spark: SparkSession, source: Path) -> None:
    data = spark.read.parquet(str(source))
    estimator = LogisticRegression(labelCol="RETURNS", weightCol="age")  # found by Spark's rule of case
    choice = choose(data, estimator, ["city"], {"--leave-out": ["spent"]})
    assert (choice.features, choice.categories) == (["customer", "income"], ["city"])
    lines = told(choice, look(data, choice))
    assert lines[0] == "features   customer, income"
    assert lines[1] == "categories city (about 3 values)"
    assert "left out   returns: labelCol" in lines
    assert "left out   age: weightCol" in lines
    assert "left out   spent: --leave-out" in lines
    assert "left out   name: text that looks like an id" in lines
    assert "left out   bought (about 2 values): text, which --categoricalCols would take" in lines
    assert any(line.startswith("left out   day: timestamp") for line in lines)
    warnings = [line for line in lines if line.startswith("warning")]
    assert len(warnings) == 1
    assert warnings[0].startswith("warning    customer looks like an id: about ")
    assert warnings[0].endswith("--leave-out customer leaves it out")


def test_named_features_are_kept_and_an_id_among_categories_is_told(spark: SparkSession, source: Path) -> None:
    data = spark.read.parquet(str(source))
    estimator = LinearRegression(featuresCols=["age", "name", "income"], labelCol="spent")
    choice = choose(data, estimator, ["name"], {})
    assert (choice.features, choice.categories) == (["age", "income"], ["name"])
    lines = told(choice, look(data, choice))
    assert lines[-1].startswith("warning    name looks like an id")
    assert lines[-1].endswith("take it out of --categoricalCols")


def test_a_column_of_few_integers_is_no_id(spark: SparkSession) -> None:
    data = spark.range(1000).selectExpr("id % 50 AS few", "cast(id AS double) AS number", "id % 2 AS label")
    choice = choose(data, LogisticRegression(), [], {})
    assert [line for line in told(choice, look(data, choice)) if line.startswith("warning")] == []


def test_categories_are_part_of_the_saved_pipeline(
    spark: SparkSession, source: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    model, output = tmp_path / "model", tmp_path / "out"
    options = {"--input": source, "--task": "regression", "--labelCol": "spent", "--featuresCols": "income",
               "--categoricalCols": "city", "--progress": "false", "--model": model}  # fmt: skip
    assert train.main(arguments(options), spark) == 0
    loaded = PipelineModel.load(str(model))
    assert loaded.stages[-1].numFeatures == 3  # one city is what the others are compared with
    assert predict.main(arguments({"--model": model, "--input": source, "--output": output}), spark) == 0
    written = spark.read.parquet(str(output))
    assert written.columns == [*frame.columns, "prediction"]
    np.testing.assert_allclose(written.toPandas()["prediction"], written.toPandas()["spent"], atol=1e-6)


@pytest.fixture(scope="module")
def by_city(spark: SparkSession, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved classifier of a text label by income and city."""
    folder = tmp_path_factory.mktemp("by_city")
    options = {"--input": source, "--labelCol": "bought", "--featuresCols": "income", "--categoricalCols": "city",
               "--progress": "false", "--model": folder / "model", "--report": folder / "report.json"}  # fmt: skip
    assert train.main(arguments(options), spark) == 0
    return folder / "model"


def test_text_labels_are_predicted_as_text(
    spark: SparkSession, by_city: Path, source: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    report = json.loads((by_city.parent / "report.json").read_text())
    assert report["labels"] == ["no", "yes"]
    assert report["columns"]["leftOut"]["bought"] == "labelCol"
    assert report["heldOut"]["AUC"] > 0.7
    options = {"--model": by_city, "--input": source, "--output": tmp_path / "labelled"}
    assert predict.main(arguments(options), spark) == 0
    written = spark.read.parquet(str(tmp_path / "labelled")).toPandas()
    assert (written[PREDICTED] == written["bought"]).mean() > 0.7
    assert (written[PREDICTED] == np.where(written["prediction"] == 1.0, "yes", "no")).all()

    frame.drop(columns="bought").to_parquet(tmp_path / "rows.parquet")
    options = {"--model": by_city, "--input": tmp_path / "rows.parquet", "--output": tmp_path / "unlabelled"}
    assert predict.main(arguments(options), spark) == 0
    unlabelled = spark.read.parquet(str(tmp_path / "unlabelled")).toPandas()
    assert unlabelled.sort_values("customer")[PREDICTED].tolist() == written.sort_values("customer")[PREDICTED].tolist()


@pytest.mark.parametrize(
    ("invalid", "labels"), [("error", None), ("skip", ["no", "yes"]), ("keep", ["no", None, None, None, "yes"])]
)
def test_unknown_categories_and_nulls_by_handle_invalid(
    spark: SparkSession, by_city: Path, tmp_path: Path, invalid: str, labels: list[str | None] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    rows = [(-9.0, "Oslo"), (0.0, "Paris"), (0.0, None), (None, "Rome"), (9.0, "Rome")]
    spark.createDataFrame(rows, "income double, city string").coalesce(1).write.parquet(str(tmp_path / "rows.parquet"))
    output = tmp_path / "out"
    options = {"--model": by_city, "--input": tmp_path / "rows.parquet", "--output": output, "--handleInvalid": invalid}
    code = predict.main(arguments(options), spark)
    if labels is None:
        assert code == 2
        assert_one_line(capsys, "column 'city' holds Paris, which is none of its 3 values in training")
        assert not output.exists()
    else:
        assert code == 0
        assert [row[PREDICTED] for row in spark.read.parquet(str(output)).collect()] == labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"--labelCol": "returns", "--categoricalCols": "city"},
            "column 'city_onehot': 20 rows with values that are null",
        ),
        ({"--labelCol": "bought"}, "column 'bought_index': 10 rows with values that are null"),
        ({"--labelCol": "returns", "--categoricalCols": "same"}, "column 'same' has 1 value"),
        ({"--labelCol": "missing"}, "column 'missing' has no labels: all of them are null"),
    ],
)
def test_nulls_of_categories_and_labels_are_counted(
    spark: SparkSession, frame: pd.DataFrame, tmp_path: Path, options: dict[str, str], message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    spoiled = frame.assign(same="one", missing=pd.Series([None] * len(frame), dtype="string"))
    spoiled.loc[:19, "city"] = None
    spoiled.loc[:9, "bought"] = None
    spoiled.to_parquet(tmp_path / "rows.parquet")
    shared = {"--input": tmp_path / "rows.parquet", "--featuresCols": "income", "--model": tmp_path / "model"}
    shared |= {"--test-fraction": "0", "--progress": "false"}
    assert train.main(arguments({**shared, **options}), spark) == 2
    assert_one_line(capsys, message)


def test_a_boolean_label_works_to_the_end(
    spark: SparkSession, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = {"--input": source, "--labelCol": "returns", "--featuresCols": "income,age", "--progress": "false"}
    assert train.main(arguments({**shared, "--model": tmp_path / "a"}), spark) == 0
    assert "rows: AUC 0." in capsys.readouterr().out
    grid = tmp_path / "grid.json"
    grid.write_text('{"regParam": [0.01, 0.1]}')
    assert tune.main(arguments({**shared, "--model": tmp_path / "b", "--grid": grid}), spark) == 0
    assert "best of 2 by areaUnderROC" in capsys.readouterr().out
    options = {"--model": tmp_path / "b", "--input": source, "--output": tmp_path / "out"}
    assert predict.main(arguments(options), spark) == 0
    assert dict(spark.read.parquet(str(tmp_path / "out")).dtypes)["returns"] == "boolean"


def test_a_search_takes_categories_and_text_labels(
    spark: SparkSession, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.json"
    grid.write_text('{"regParam": [0.001, 10.0], "elasticNetParam": [1.0]}')
    options = {"--input": source, "--labelCol": "bought", "--featuresCols": "income", "--categoricalCols": "city",
               "--grid": grid, "--metric": "accuracy", "--numFolds": "2", "--model": tmp_path / "model"}  # fmt: skip
    assert tune.main(arguments({**options, "--progress": "false"}), spark) == 0
    assert "chosen     regParam=0.001, elasticNetParam=1, best of 2 by accuracy" in capsys.readouterr().out
    assert len(PipelineModel.load(str(tmp_path / "model")).stages) == 5


def test_a_model_is_saved_before_anything_else_can_fail(
    spark: SparkSession,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("no more of this")

    monkeypatch.setattr(train, "evaluate", fail)
    model = tmp_path / "model"
    options = {"--input": source, "--labelCol": "returns", "--featuresCols": "income", "--model": model}
    with pytest.raises(OSError, match="no more"):
        train.main(arguments(options), spark)
    assert LogisticRegressionModel.load(str(model)).numFeatures == 1
    assert f"the model is saved in {model}" in capsys.readouterr().out


@pytest.mark.parametrize("job", [train, tune, predict])
def test_help_begins_with_three_examples(job: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        job.main(["--help"])  # type: ignore[attr-defined]
    lines = capsys.readouterr().out.splitlines()
    name = f"  spark-submit jobs/{job.__name__}.py --"  # type: ignore[attr-defined]
    assert lines[0] == "examples:"
    assert sum(line.startswith(name) for line in lines[1 : lines.index("")]) == 3
