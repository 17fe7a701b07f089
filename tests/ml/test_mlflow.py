"""MLflow logs, loads and serves fitted models; callbacks log rounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import VectorAssembler

from sparkgd import classification, regression, tuning
from sparkgd.mlflow import ALLOWLIST_FILE, LogRounds, allowlist
from tests.support.frames import frame

RNG = np.random.default_rng(2)
X = RNG.normal(size=(100, 3))
LABEL = (X[:, 0] + RNG.logistic(size=100) > 0.0).astype(float)
NAMES = ["x0", "x1", "x2"]

MODELS = [
    classification.LogisticRegressionModel, classification.LinearSVCModel,
    classification.GradientDescentClassifierModel, regression.LinearRegressionModel,
    regression.GeneralizedLinearRegressionModel, regression.GradientDescentRegressorModel,
    tuning.CrossValidatorModel, tuning.TrainValidationSplitModel,
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_the_list_names_every_model(kind):
    name = f"{kind.__module__}.{kind.__name__}"
    assert any(entry == name or (entry.endswith("*") and name.startswith(entry[:-1])) for entry in allowlist())


def test_the_file_is_the_list():
    lines = [line.strip() for line in Path(ALLOWLIST_FILE).read_text().splitlines()]
    assert [line for line in lines if line and not line.startswith("#")] == allowlist()
    assert "pyspark.ml.pipeline.PipelineModel" in allowlist()


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, LABEL, **dict(zip(NAMES, X.T, strict=True))).cache()
    yield data
    data.unpersist()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """A store of its own in SQLite."""
    module = pytest.importorskip("mlflow", reason="MLflow is not installed")
    pytest.importorskip("mlflow.pyspark.ml", reason="MLflow is not installed")
    pytest.importorskip("mlflow.spark", reason="MLflow is not installed")
    directory = tmp_path_factory.mktemp("mlflow")
    before = module.get_tracking_uri()
    module.set_tracking_uri(f"sqlite:///{directory}/store.db")
    module.create_experiment("sparkgd", artifact_location=f"file://{directory}/artifacts")
    module.set_experiment("sparkgd")
    yield module
    module.set_tracking_uri(before)


@pytest.fixture
def autologged(mlflow):
    """With autologging of models."""
    mlflow.pyspark.ml.autolog(log_model_allowlist=allowlist(), log_input_examples=True, silent=True)
    yield mlflow
    mlflow.pyspark.ml.autolog(disable=True)


CASES = {
    "a vector": (classification.LogisticRegression(regParam=0.1), ["features"]),
    "columns": (regression.LinearRegression(featuresCols=NAMES), NAMES),
    "a pipeline": (classification.LinearSVC(featuresCol="v"), NAMES),
    "a loss": (regression.GradientDescentRegressor(loss="quantile", regParam=0.1, featuresCols=NAMES), NAMES),
}


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_model_is_logged_loaded_and_served(autologged, df, tmp_path, case):
    from mlflow.pyfunc import scoring_server

    estimator, inputs = CASES[case]
    if case == "a pipeline":
        estimator = Pipeline(stages=[VectorAssembler(inputCols=NAMES, outputCol="v"), estimator])
    data = df.select("label", "features") if case == "a vector" else df.select("label", *NAMES)
    model = estimator.fit(data)
    run = autologged.last_active_run()
    assert any(name.endswith("maxIter") for name in run.data.params)
    uri = f"runs:/{run.info.run_id}/model"
    expected = [row.prediction for row in model.transform(data).select("prediction").limit(4).collect()]
    loaded = autologged.spark.load_model(uri, dfs_tmpdir=str(tmp_path))
    assert [row.prediction for row in loaded.transform(data).select("prediction").limit(4).collect()] == expected
    served = autologged.pyfunc.load_model(uri)
    assert sorted(served.metadata.signature.inputs.input_names()) == inputs  # MLflow finds them in a set
    rows = X[:4].tolist()
    table = pd.DataFrame({"features": rows}) if case == "a vector" else pd.DataFrame(rows, columns=NAMES)
    np.testing.assert_allclose(served.predict(table), expected)
    question = json.dumps({"dataframe_split": table.to_dict("split", index=False)})
    answer = scoring_server.invocations(question, "application/json", served, served.metadata.get_input_schema())
    np.testing.assert_allclose(json.loads(answer.response)["predictions"], expected)


def test_a_search_is_logged_with_its_best_model(autologged, df):
    estimator = classification.LogisticRegression()
    grid = tuning.ParamGridBuilder().addGrid(estimator.regParam, [0.01, 1.0]).build()
    search = tuning.CrossValidator(
        estimator=estimator, estimatorParamMaps=grid, evaluator=BinaryClassificationEvaluator(), seed=1
    ).fit(df)
    run = autologged.last_active_run()
    best = autologged.spark.load_model(f"runs:/{run.info.run_id}/best_model").stages[0]
    assert best.coefficients == search.bestModel.coefficients
    assert best.getRegParam() == search.bestModel.getRegParam()


def test_every_round_is_a_metric(mlflow, df):
    held = df.withColumn("held", df["x0"] > 1.0)
    estimator = classification.LogisticRegression(solver="gd", maxIter=7, tol=0.0, validationIndicatorCol="held")
    with pytest.warns(UserWarning, match="maxIter=7"), mlflow.start_run() as run:
        summary = estimator.setCallbacks([LogRounds()]).fit(held).summary
    client = mlflow.MlflowClient()
    rounds = client.get_metric_history(run.info.run_id, "round_seconds")
    assert [entry.step for entry in rounds] == list(range(1, summary.totalRounds + 1))
    history = client.get_metric_history(run.info.run_id, "objective")
    assert {entry.value for entry in history} >= set(summary.objectiveHistory)
    assert history[-1].value == pytest.approx(summary.objectiveHistory[-1])
    losses = client.get_metric_history(run.info.run_id, "validation_loss")
    assert min(entry.value for entry in losses) == pytest.approx(min(summary.validationHistory))


def test_models_in_company_have_numbers_and_a_run_may_be_given(mlflow, df):
    with mlflow.start_run() as run:
        pass
    estimator = classification.LogisticRegression()
    estimator.setCallbacks([LogRounds(run.info.run_id)])
    estimator.fit(df, [{estimator.regParam: 0.1}, {estimator.regParam: 1.0}])
    assert {"objective", "objective_1"} <= mlflow.get_run(run.info.run_id).data.metrics.keys()


def test_without_a_run_nothing_is_logged(mlflow, df):
    before = len(mlflow.search_runs())
    classification.LogisticRegression().setCallbacks([LogRounds()]).fit(df)
    assert mlflow.active_run() is None
    assert len(mlflow.search_runs()) == before
