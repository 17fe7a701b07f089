"""Linear regression against ``pyspark.ml``: its two ridge answers, elastic net, huber."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.regression import LinearRegression as MLlibLinearRegression
from pyspark.sql import functions as F

from sparkgd.engine import choice
from sparkgd.exceptions import InvalidParamError
from sparkgd.losses import JointHuberLoss, SquaredLoss
from sparkgd.regression import LinearRegression, LinearRegressionModel
from tests.support.datasets import all_problems, load
from tests.support.frames import frame
from tests.support.leftovers import nothing_left
from tests.support.objectives import PenalisedLoss, assert_same_model, coefficients_of, deviation

RNG = np.random.default_rng(13)
ROWS = 80
X = RNG.normal(size=(ROWS, 4)) * [1.0, 20.0, 0.3, 1.0] + [0.0, 5.0, 0.0, 1.0]
Y = 3.0 + X @ [1.0, 0.1, -3.0, 0.0] + RNG.standard_t(2.0, size=ROWS)
WEIGHT = RNG.choice([0.0, 0.5, 1.0, 3.0], ROWS)
TIGHT = {"tol": 1e-12, "maxIter": 500}


@pytest.fixture(scope="module")
def df(spark):
    cached = frame(spark, X, Y, 1, weight=WEIGHT, offset=RNG.normal(size=ROWS)).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize("solver", ["normal", "l-bfgs", "auto"])
@pytest.mark.parametrize(
    "params",
    [
        {"regParam": 0.0, "fitIntercept": False},
        {"regParam": 0.3, "weightCol": "weight"},
        {"regParam": 0.3, "elasticNetParam": 0.5, "standardization": False},
    ],
    ids=str,
)
def test_each_solver_name_gives_mllibs_answer(df, params, solver):
    found = LinearRegression(solver=solver, tol=1e-10, **params).fit(df)
    expected = MLlibLinearRegression(solver=solver, **TIGHT, **params).fit(df)
    assert_same_model(found, expected, 1e-5)
    weight, ddof = WEIGHT if "weightCol" in params else np.ones(ROWS), int(solver == "l-bfgs")
    objective = PenalisedLoss(
        SquaredLoss(), X, Y, weight, params["regParam"], params.get("elasticNetParam", 0.0),
        params.get("standardization", True), 1.0 / float(deviation(Y[:, None], weight, ddof)[0]), ddof,
    )  # fmt: skip
    assert objective.of(found) <= objective.of(expected) * (1 + 1e-10)


def test_the_two_ridge_answers_differ_as_mllibs_do(df):
    normal, lbfgs = (LinearRegression(regParam=1.0, solver=s, tol=1e-12).fit(df) for s in ("normal", "l-bfgs"))
    gap = np.abs(normal.coefficients.toArray() - lbfgs.coefficients.toArray()).max()
    assert gap > 1e-4


PROBLEMS = [p for p in all_problems() if p.dataset == "diabetes" and "mllib_linreg" in p.id]


@pytest.mark.skipif(not PROBLEMS, reason="the shared reference optima are absent; set SPARKGD_SHARED")
def test_reference_optima_of_mllibs_form(spark):
    features, label = load("diabetes")
    dense = np.asarray(features.todense())
    diabetes = frame(spark, dense, label, 1).cache()
    for problem in PROBLEMS:
        params = {"regParam": problem.reg, "elasticNetParam": problem.alpha, "standardization": problem.standardization}
        model = LinearRegression(solver="l-bfgs", tol=1e-9, maxIter=500, **params).fit(diabetes)
        objective = PenalisedLoss(
            SquaredLoss(), dense, label, np.ones(len(label)), problem.reg, problem.alpha, problem.standardization,
            1.0 / label.std(ddof=1),
        )  # fmt: skip
        assert objective.of(model) == pytest.approx(problem.objective, rel=1e-6), problem.id
        assert model.summary.status == "converged"
    diabetes.unpersist()


@pytest.mark.parametrize(
    "params", [{}, {"regParam": 0.1, "epsilon": 2.0}, {"weightCol": "weight", "fitIntercept": False}], ids=str
)
def test_huber_and_its_scale_are_mllibs(df, params):
    found = LinearRegression(loss="huber", tol=1e-10, **params).fit(df)
    expected = MLlibLinearRegression(loss="huber", **TIGHT, **params).fit(df)
    assert_same_model(found, expected, 1e-4)
    assert found.scale == pytest.approx(expected.scale, rel=1e-4)
    objectives = [_huber_objective(model, params) for model in (found, expected)]
    assert objectives[0] <= objectives[1] * (1 + 1e-10)
    assert found.copy().scale == found.scale
    assert found.numFeatures == 4


def _huber_objective(model, params):
    weight = WEIGHT if "weightCol" in params else np.ones(ROWS)
    weights, intercepts = coefficients_of(model)
    raw = np.stack([X @ weights[0] + intercepts[0], np.full(ROWS, model.scale)], axis=-1)
    values = JointHuberLoss(params.get("epsilon", 1.35)).value_and_derivative(Y, raw)[0]
    ridge = params.get("regParam", 0.0) / 2 * np.square(weights[0] * deviation(X, weight)).sum()
    return weight @ values / weight.sum() + ridge


@pytest.mark.smoke
def test_predictions_are_mllibs(df):
    model, mllib = LinearRegression(regParam=0.1).fit(df), MLlibLinearRegression(regParam=0.1).fit(df)
    for mine, theirs in zip(model.transform(df).collect(), mllib.transform(df).collect(), strict=True):
        assert mine.prediction == pytest.approx(theirs.prediction, rel=1e-6)
        assert model.predict(mine.features) == pytest.approx(mine.prediction, rel=1e-12)


@pytest.mark.parametrize("params", [{}, {"regParam": 0.3}, {"regParam": 0.3, "solver": "l-bfgs"}], ids=str)
def test_offset_is_subtracted_from_the_label(df, params):
    """The penalty's deviation is that of the difference too."""
    model = LinearRegression(offsetCol="offset", tol=1e-10, **params).fit(df)
    net = df.withColumn("label", F.col("label") - F.col("offset"))
    expected = LinearRegression(tol=1e-10, **params).fit(net)
    assert_same_model(model, expected, 1e-8)
    for row in model.transform(df).collect():
        assert row.prediction == pytest.approx(model.predict(row.features) + row.offset, rel=1e-12)


def test_model_is_saved_with_its_scale(df, tmp_path):
    estimator = LinearRegression(loss="huber", epsilon=1.5, regParam=0.1)
    estimator.save(str(tmp_path / "estimator"))
    model = LinearRegression.load(str(tmp_path / "estimator")).fit(df)
    model.write().overwrite().save(str(tmp_path / "model"))
    loaded = LinearRegressionModel.load(str(tmp_path / "model"))
    assert (loaded.scale, loaded.intercept) == (model.scale, model.intercept)
    assert model.scale != 1.0
    assert loaded.transform(df).collect() == model.transform(df).collect()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "quantile"}, "loss='quantile'"),
        ({"loss": "huber", "epsilon": 1.0}, "epsilon=1.0"),
        ({"elasticNetParam": 1.5}, "elasticNetParam=1.5"),
        ({"solver": "irls"}, "solver='irls'"),
    ],
)
def test_params_out_of_range_are_refused(df, params, message):
    with pytest.raises(InvalidParamError, match=message):
        LinearRegression(**params).fit(df)


def test_penalty_weights_scale_the_penalty(df):
    doubled = LinearRegression(regParam=0.1, penaltyWeights=[2.0] * 4, tol=1e-10).fit(df)
    assert_same_model(doubled, LinearRegression(regParam=0.2, tol=1e-10).fit(df), 1e-7)
    free = LinearRegression(regParam=0.1, penaltyWeights=[0.0] * 4, tol=1e-10).fit(df)
    assert_same_model(free, LinearRegression(tol=1e-10).fit(df), 1e-7)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"regParam": 0.1, "elasticNetParam": 0.5},
        {"weightCol": "weight", "offsetCol": "offset", "regParam": 0.01},
        {"validationIndicatorCol": "held_out"},
        {"fitIntercept": False, "standardization": False, "solver": "normal"},
    ],
    ids=str,
)
def test_moments_of_the_rows_give_the_fit_of_the_rows(df, params, monkeypatch):
    held = df.withColumn("held_out", F.col("weight") > 2.0) if "held_out" in params.values() else df
    rows = LinearRegression(execution="driver", **params).fit(held)
    monkeypatch.setattr(choice, "SMALL_BYTES", 0)  # else so few rows are packed in the driver
    with nothing_left(df.sparkSession):
        moments = LinearRegression(**params).fit(held)
    assert_same_model(moments, rows, 1e-9)
    ours, theirs = moments.summary, rows.summary
    assert ours.objectiveHistory[-1] == pytest.approx(theirs.objectiveHistory[-1], rel=1e-9)
    assert ours.validationHistory[-1:] == pytest.approx(theirs.validationHistory[-1:], rel=1e-9)
    assert ours.execution == "driver"
    assert sum(part.rows for part in ours.partitionStats) == held.count()
    assert sum(part.bytes for part in ours.partitionStats) < sum(part.bytes for part in theirs.partitionStats)
