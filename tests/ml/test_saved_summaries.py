"""A summary is saved with its model: how the fit went, and what its rows were asked before."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import Pipeline, PipelineModel

from sparkgd import classification, regression
from sparkgd.exceptions import IncompatibleError, InvalidParamError, NoTrainingRowsError
from sparkgd.ml.saved_summary import ATTRIBUTES, RECORDS
from tests.support.frames import frame

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(12)
X = RNG.normal(size=(80, 3))
LABEL = (X[:, 0] + RNG.logistic(size=80) > 0.0).astype(float)
KIND = np.argmax(X + RNG.gumbel(size=X.shape), axis=1).astype(float)

CASES = {
    "binomial": (classification.LogisticRegression(), ("areaUnderROC", "accuracy", "recallByLabel", "pValues")),
    "multinomial": (classification.LogisticRegression(labelCol="kind"), ("weightedPrecision", "labels", "pValues")),
    "ridge": (classification.LogisticRegression(regParam=0.1), ("areaUnderROC",)),
    "svc": (classification.LinearSVC(regParam=0.1, validationIndicatorCol="held"), ("accuracy",)),
    "linear": (regression.LinearRegression(), ("r2adj", "rootMeanSquaredError", "devianceResiduals", "tValues")),
    "huber": (regression.LinearRegression(loss="huber"), ("meanAbsoluteError",)),
    "poisson": (
        regression.GeneralizedLinearRegression(family="poisson", labelCol="kind"),
        ("aic", "deviance", "nullDeviance", "dispersion", "coefficientStandardErrors"),
    ),
    "tweedie": (
        regression.GeneralizedLinearRegression(
            family="tweedie", variancePower=1.5, linkPower=0.0, labelCol="kind", solver="l-bfgs"
        ),
        ("dispersion", "residualDegreeOfFreedom"),
    ),
    "a loss": (regression.GradientDescentRegressor(loss="quantile", maxIter=20), ()),
    "a constant label": (classification.LogisticRegression(labelCol="one", validationIndicatorCol="held"), ()),
}


@pytest.fixture(scope="module")
def df(spark):
    held = (np.arange(80) % 4 == 0).astype(float)
    data = frame(spark, X, LABEL, kind=KIND, held=held, one=np.ones(80))
    data = data.withColumn("held", data["held"] == 1.0).cache()
    yield data
    data.unpersist()


def saved_and_loaded(model, path: Path, **options):
    writer = model.write()
    for name, value in options.items():
        writer = writer.option(name, value)
    writer.save(str(path))
    return type(model).load(str(path))


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConstantLabelWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_has_its_summary_again(df, tmp_path, case):
    estimator, asked = CASES[case]
    model = estimator.fit(df)
    loaded = saved_and_loaded(model, tmp_path / "model", persistSummary="all")
    assert loaded.hasSummary
    assert type(loaded.summary) is type(model.summary)
    for name in (*ATTRIBUTES, *RECORDS):
        np.testing.assert_equal(getattr(loaded.summary, name), getattr(model.summary, name), err_msg=name)
    for name in asked:
        assert getattr(loaded.summary, name) == getattr(model.summary, name), name
    assert str(loaded.summary) == str(model.summary)
    pd.testing.assert_frame_equal(loaded.coefficientTable, model.coefficientTable)
    again = saved_and_loaded(loaded.copy(), tmp_path / "again", persistSummary="all")
    assert str(again.summary) == str(model.summary)


def test_what_was_not_asked_needs_rows(df, tmp_path):
    model = classification.LogisticRegression().fit(df)
    assert model.summary.areaUnderROC > 0.5
    loaded = saved_and_loaded(model, tmp_path / "model")
    assert loaded.summary.areaUnderROC == model.summary.areaUnderROC
    message = r"rows of the fit are gone. model.evaluate\(df\) asks those of any DataFrame"
    for name in ("accuracy", "roc", "predictions", "coefficientStandardErrors"):
        with pytest.raises(NoTrainingRowsError, match=message):
            getattr(loaded.summary, name)
    with pytest.raises(RuntimeError, match=message):
        loaded.summary.inference("HC3")
    assert "no coefficient table: the summary of a loaded LogisticRegressionModel" in str(loaded.summary)
    assert loaded.coefficientTable.shape == (4, 1)
    assert loaded.evaluate(df).accuracy == model.summary.accuracy


def test_errors_of_every_kind_and_contrasts_are_kept(df, tmp_path):
    model = classification.LogisticRegression(labelCol="kind").fit(df.withColumn("town", df["kind"] + df["label"]))
    model.summary.inference("HC1")
    model.summary.inference("cluster", clusterCol="town")
    loaded = saved_and_loaded(model, tmp_path / "model")
    for arguments in (("HC1",), ("cluster", "town")):
        ours, theirs = loaded.summary.inference(*arguments), model.summary.inference(*arguments)
        np.testing.assert_array_equal(ours.standardErrors, theirs.standardErrors)
        np.testing.assert_array_equal(ours.contrasts(1).pValues, theirs.contrasts(1).pValues)
    with pytest.raises(NoTrainingRowsError):
        loaded.summary.inference()
    ridge = classification.LogisticRegression(regParam=0.1).fit(df)
    with pytest.raises(IncompatibleError, match=r"regParam=0\.1"):
        saved_and_loaded(ridge, tmp_path / "ridge").summary.inference()


def test_it_can_be_left_out(df, tmp_path):
    model = regression.LinearRegression().fit(df)
    loaded = saved_and_loaded(model, tmp_path / "model", persistSummary="false")
    assert not loaded.hasSummary
    with pytest.raises(RuntimeError, match="No training summary available"):
        _ = loaded.summary
    with pytest.raises(InvalidParamError, match="persistSummary='some' is not allowed; give one of true, false, all"):
        saved_and_loaded(model, tmp_path / "other", persistSummary="some")
    assert not (tmp_path / "other").exists()


def metadata_of(path: Path) -> Path:
    return next((path / "metadata").glob("part-*"))


def rewritten(path: Path, change) -> None:
    part = metadata_of(path)
    told = json.loads(part.read_text())
    change(told)
    part.write_text(json.dumps(told))
    part.with_name(f".{part.name}.crc").unlink()


def test_models_of_earlier_versions_have_none(df, tmp_path):
    model = regression.LinearRegression().fit(df)
    model.save(str(tmp_path / "model"))
    rewritten(tmp_path / "model", lambda told: told.pop("summary"))
    assert not regression.LinearRegressionModel.load(str(tmp_path / "model")).hasSummary


BROKEN = {
    "newer": lambda summary: summary.update(format=99),
    "emptied": lambda summary: summary.update(content={}),
    "an attribute less": lambda summary: summary["content"]["value"]["dict"][0][1]["dict"].pop(),
    "arrays cut short": lambda summary: summary.update(arrays=summary["arrays"][:40]),
    "a class of others": lambda summary: summary["content"].update(classes=[["os", "system"]]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_summary_that_cannot_be_read_costs_no_model(df, tmp_path, case):
    model = regression.LinearRegression().fit(df)
    assert model.summary.pValues
    model.save(str(tmp_path / "model"))
    rewritten(tmp_path / "model", lambda told: BROKEN[case](told["summary"]))
    with pytest.warns(UserWarning, match="the summary saved with this LinearRegressionModel cannot be read"):
        loaded = regression.LinearRegressionModel.load(str(tmp_path / "model"))
    assert not loaded.hasSummary
    assert loaded.coefficients == model.coefficients


def test_it_is_there_in_a_pipeline_and_mllib_reads_the_model(spark, df, tmp_path):
    from pyspark.ml.classification import LogisticRegressionModel as MLlibModel

    fitted = Pipeline(stages=[classification.LogisticRegression()]).fit(df)
    fitted.save(str(tmp_path / "pipeline"))
    stage = PipelineModel.load(str(tmp_path / "pipeline")).stages[0]
    assert stage.summary.objectiveHistory == fitted.stages[0].summary.objectiveHistory
    fitted.stages[0].save(str(tmp_path / "model"))
    name = "org.apache.spark.ml.classification.LogisticRegressionModel"
    rewritten(tmp_path / "model", lambda told: told.update({"class": name}))
    assert MLlibModel.load(str(tmp_path / "model")).coefficients == fitted.stages[0].coefficients
