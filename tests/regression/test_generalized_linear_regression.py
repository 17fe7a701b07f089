"""Generalized linear regression against ``pyspark.ml``: every family and link, penalised or not, with offsets."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.ml.regression import GeneralizedLinearRegression as MLlibGeneralizedLinearRegression
from pyspark.sql import functions as F

from sparkgd.exceptions import ConvergenceWarning, InvalidDataError, InvalidParamError
from sparkgd.regression import GeneralizedLinearRegression, GeneralizedLinearRegressionModel
from sparkgd.regression.glm_family import NAMED_LINKS
from tests.support.frames import frame
from tests.support.objectives import assert_same_model

RNG = np.random.default_rng(14)
ROWS = 100
X = RNG.normal(size=(ROWS, 2)) * [1.0, 2.0]
ETA = 0.4 * X[:, 0] - 0.2 * X[:, 1]
MEAN = 2.0 + np.clip(ETA, -1.2, 1.2)
LABELS = {
    "binomial": (RNG.random(ROWS) < 1 / (1 + np.exp(-2 * ETA))).astype(float),
    "poisson": RNG.poisson(MEAN).astype(float),
    "positive": RNG.gamma(5.0, MEAN / 5.0),
}
NAMED = [{"family": family, "link": link} for family, links in NAMED_LINKS.items() for link in links]
POWERS = [(0.0, 1.0), (1.5, None), (1.5, 0.0), (1.5, 1.0), (2.0, 0.5), (2.5, 0.0), (3.0, 1.0)]
TWEEDIE = [{"family": "tweedie", "variancePower": v, "linkPower": p} for v, p in POWERS]


@pytest.fixture(scope="module")
def df(spark):
    columns = {**LABELS, "weight": RNG.choice([0.5, 1.0, 2.0], ROWS), "offset": 0.1 * RNG.normal(size=ROWS)}
    cached = frame(spark, X, LABELS["positive"], 1, **columns).cache()
    cached.count()
    yield cached
    cached.unpersist()


def label_of(params: dict[str, object]) -> str:
    return str(params["family"]) if params["family"] in LABELS else "positive"


@pytest.mark.parametrize("reg", [0.0, 0.3])
@pytest.mark.parametrize("params", NAMED + TWEEDIE, ids=lambda p: "-".join(str(v) for v in p.values()))
def test_coefficients_are_mllibs(df, params, reg):
    given = {name: value for name, value in params.items() if value is not None}
    shared = {**given, "regParam": reg, "labelCol": label_of(params), "weightCol": "weight", "offsetCol": "offset"}
    found = GeneralizedLinearRegression(tol=1e-9, **shared).fit(df)
    expected = MLlibGeneralizedLinearRegression(tol=1e-10, maxIter=200, **shared).fit(df)
    assert_same_model(found, expected, 1e-5)
    assert found.summary.status == "converged"
    assert found.summary.totalIterations <= 25


@pytest.fixture(scope="module")
def positive(spark):
    """Rows whose mean needs no intercept: positive columns and weights."""
    features = RNG.uniform(0.2, 2.0, size=(ROWS, 2)) * [1.0, 3.0]
    mean = features @ [0.6, 0.3]
    columns = {
        "binomial": (RNG.random(ROWS) < 1 / (1 + np.exp(-features @ [1.5, -0.5]))).astype(float),
        "poisson": RNG.poisson(mean).astype(float),
        "positive": RNG.gamma(5.0, mean / 5.0),
        "weight": RNG.choice([0.5, 1.0, 2.0], ROWS),
        "offset": 0.05 * RNG.uniform(-1.0, 1.0, ROWS),
    }
    cached = frame(spark, features, columns["positive"], 1, **columns).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize("offset", ["no offset", "offset"])
@pytest.mark.parametrize("params", NAMED + TWEEDIE, ids=lambda p: "-".join(str(v) for v in p.values()))
def test_coefficients_without_intercept_are_mllibs(positive, params, offset):
    given = {name: value for name, value in params.items() if value is not None}
    shared = {**given, "labelCol": label_of(params), "weightCol": "weight", "fitIntercept": False}
    if offset in positive.columns:
        shared["offsetCol"] = offset
    found = GeneralizedLinearRegression(tol=1e-9, **shared).fit(positive)
    expected = MLlibGeneralizedLinearRegression(tol=1e-10, maxIter=200, **shared).fit(positive)
    assert_same_model(found, expected, 1e-5)
    assert found.intercept == 0.0
    assert found.summary.status == "converged"


def test_the_least_squares_penalty_is_that_of_the_training_rows_labels_less_offsets(df):
    held = df.withColumn("held", F.monotonically_increasing_id() % 4 == 0).withColumn("offset", 5 * F.col("offset"))
    shared = {"regParam": 0.3, "weightCol": "weight", "offsetCol": "offset"}
    found = GeneralizedLinearRegression(validationIndicatorCol="held", **shared).fit(held)
    expected = MLlibGeneralizedLinearRegression(**shared).fit(held.where("not held"))
    assert_same_model(found, expected, 1e-8)


PENALISED = {"family": "poisson", "regParam": 0.5, "labelCol": "poisson"}


def test_a_fit_that_ends_before_its_penalty_stands_still_says_so(df):
    stopped = GeneralizedLinearRegression(**PENALISED).setCallbacks([lambda record: record.iteration >= 1])
    with pytest.warns(ConvergenceWarning, match="before the penalty's factor"):
        summary = stopped.fit(df).summary
    assert summary.status == "stopped early"
    assert "ask for" in summary.statusReason


def test_one_that_validation_stops_goes_on_to_the_penalty_that_it_asks_for(df):
    marked = df.withColumn("held", F.monotonically_increasing_id() % 4 == 0)
    early = GeneralizedLinearRegression(validationIndicatorCol="held", earlyStoppingRounds=1, **PENALISED)
    summary = early.setMaxIter(100).fit(marked).summary
    assert [stage.name for stage in summary.stages].count("working weights") > 1
    assert "ask for" not in summary.statusReason


def test_score_equations_hold_with_the_penalty(df):
    """``sum_i w_i (y_i - mu_i) x_i = regParam * Omega * b`` for a canonical link."""
    model = GeneralizedLinearRegression(family="poisson", regParam=0.5, labelCol="poisson", tol=1e-10).fit(df)
    mean = np.exp(X @ model.coefficients.toArray() + model.intercept)
    score = (LABELS["poisson"] - mean) @ X
    np.testing.assert_allclose(score, 0.5 * mean.sum() * model.coefficients.toArray(), rtol=1e-5)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
@pytest.mark.parametrize("standing", ["penalised", "validated"])
def test_the_working_weights_are_those_of_the_training_rows(df, execution, standing):
    held = F.monotonically_increasing_id() % 4 == 0
    marked = df.withColumn("held", held)
    params = {"family": "poisson", "regParam": 0.5, "labelCol": "poisson", "tol": 1e-10, "execution": execution}
    expected = GeneralizedLinearRegression(**params).fit(marked.where("not held"))
    if standing == "validated":
        # Validation rows that the optimum predicts best, so that no earlier point is the model.
        aside = marked.where("held").select(array_to_vector(F.array(F.lit(0.0), F.lit(0.0))).alias("features"), "held")
        kept = marked.where("not held").select("features", "held", "poisson")
        best = aside.withColumn("poisson", F.lit(float(np.exp(expected.intercept))))
        model = GeneralizedLinearRegression(validationIndicatorCol="held", **params).fit(kept.unionByName(best))
        assert_same_model(model, expected, 1e-6)
    else:
        weightless = marked.withColumn("weight", F.when(F.col("held"), 0.0).otherwise(1.0))
        model = GeneralizedLinearRegression(weightCol="weight", **params).fit(weightless)
        assert_same_model(model, expected, 1e-7)


@pytest.mark.smoke
@pytest.mark.parametrize("params", [{"family": "binomial", "link": "cloglog"}, TWEEDIE[1]], ids=str)
def test_predictions_are_mllibs(df, params):
    given = {name: value for name, value in params.items() if value is not None}
    shared = {**given, "labelCol": label_of(params), "linkPredictionCol": "link", "offsetCol": "offset"}
    model = GeneralizedLinearRegression(tol=1e-9, **shared).fit(df)
    mllib = MLlibGeneralizedLinearRegression(tol=1e-10, maxIter=100, **shared).fit(df)
    for mine, theirs in zip(model.transform(df).collect(), mllib.transform(df).collect(), strict=True):
        assert mine.prediction == pytest.approx(theirs.prediction, rel=1e-4)
        assert mine.link == pytest.approx(theirs.link, rel=1e-4, abs=1e-5)
    plain = model.copy()
    plain.clear(plain.offsetCol)
    row = plain.transform(df).first()
    assert plain.predict(row.features) == pytest.approx(row.prediction, rel=1e-10)


def test_all_stages_of_a_penalised_fit_are_counted(df):
    model = GeneralizedLinearRegression(family="poisson", regParam=0.5, labelCol="poisson").fit(df)
    summary = model.summary
    assert summary.totalRounds > summary.totalIterations > 1
    assert len(summary.objectiveHistory) == len(summary.gradientNormHistory) > summary.totalIterations
    short = GeneralizedLinearRegression(family="poisson", regParam=0.5, labelCol="poisson", maxIter=1)
    with pytest.warns(UserWarning, match="did not converge"):
        assert short.fit(df).summary.totalIterations == 1


def test_model_is_saved_and_loaded(df, tmp_path):
    estimator = GeneralizedLinearRegression(
        family="tweedie", variancePower=1.5, linkPower=0.0, linkPredictionCol="eta", regParam=0.1
    )
    estimator.save(str(tmp_path / "estimator"))
    model = GeneralizedLinearRegression.load(str(tmp_path / "estimator")).fit(df)
    model.save(str(tmp_path / "model"))
    loaded = GeneralizedLinearRegressionModel.load(str(tmp_path / "model"))
    assert (loaded.coefficients, loaded.intercept) == (model.coefficients, model.intercept)
    assert loaded.transform(df).collect() == model.transform(df).collect()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"family": "binomial", "link": "log"}, "link='log' does not go with family='binomial'"),
        ({"family": "tweedie", "link": "log"}, "set linkPower instead"),
        ({"family": "tweedie", "variancePower": 0.5}, "variancePower=0.5"),
        ({"family": "negativeBinomial"}, "family='negativeBinomial'"),
        ({"regParam": -1.0}, "regParam=-1.0"),
    ],
)
def test_params_that_do_not_fit_are_refused(df, params, message):
    with pytest.raises(InvalidParamError, match=message):
        GeneralizedLinearRegression(**params).fit(df)


def test_labels_outside_the_family_are_refused(df):
    with pytest.raises(InvalidDataError, match="needs numbers > 0"):
        GeneralizedLinearRegression(family="gamma", labelCol="poisson").fit(df)
