"""A regressor with any loss: those by name, and losses of the user's own in pipelines, grids and files."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from pyspark.ml.util import DefaultParamsReader

from sparkgd import tuning
from sparkgd.exceptions import IncompatibleError, InvalidParamError, KernelError, ModelFormatError
from sparkgd.losses import LOSSES, LossSettings, MultinomialLoss
from sparkgd.regression import (
    GeneralizedLinearRegression,
    GradientDescentRegressor,
    GradientDescentRegressorModel,
    LinearRegression,
)
from tests.losses.own import WIDE, FailsFarOut, LogCosh
from tests.support.frames import frame
from tests.support.leftovers import nothing_left
from tests.support.objectives import PenalisedLoss, assert_same_model, coefficients_of

RNG = np.random.default_rng(15)
ROWS = 120
X = RNG.normal(size=(ROWS, 2)) * [1.0, 5.0]
Y = np.exp(0.3 * X[:, 0] - 0.1 * X[:, 1]) * RNG.gamma(5.0, 0.2, ROWS)
NAMES = [name for name, entry in LOSSES.items() if not entry.for_classes]
LOG_COSH = "tests.losses.own:LogCosh"


@pytest.fixture(scope="module")
def df(spark):
    cached = frame(spark, X, Y, 1, a=X[:, 0], b=X[:, 1]).cache()
    cached.count()
    yield cached
    cached.unpersist()


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_by_name_fits_predicts_saves_and_loads(df, tmp_path, name):
    estimator = GradientDescentRegressor(loss=name, regParam=0.01)
    estimator.save(str(tmp_path / "estimator"))
    model = GradientDescentRegressor.load(str(tmp_path / "estimator")).fit(df)
    assert model.summary.status == "converged"
    objective = PenalisedLoss(LOSSES[name].build(LossSettings()), X, Y, np.ones(ROWS), 0.01)
    best = objective.of(model)
    assert model.summary.objective == pytest.approx(best, rel=1e-5)
    if not objective.loss.is_smooth:
        assert model.summary.dualityGap <= 1e-5 * best
    weights, intercepts = coefficients_of(model)
    for step in 0.05 * RNG.normal(size=(20, 3)):
        assert objective.at(weights + step[:2], intercepts + step[2]) >= best * (1 - 1e-9) - 1e-12
    model.save(str(tmp_path / "model"))
    loaded = GradientDescentRegressorModel.load(str(tmp_path / "model"))
    rows = model.transform(df).collect()
    assert loaded.transform(df).collect() == rows
    assert loaded.predict(rows[0].features) == pytest.approx(rows[0].prediction, rel=1e-12)


@pytest.mark.smoke
def test_losses_that_other_estimators_have_give_the_same_model(df):
    squared = GradientDescentRegressor(regParam=0.0, tol=1e-10).fit(df)
    assert_same_model(squared, LinearRegression(tol=1e-10).fit(df), 1e-7)
    gamma = GradientDescentRegressor(loss="gamma", tol=1e-12).fit(df)
    assert_same_model(gamma, GeneralizedLinearRegression(family="gamma", link="log", tol=1e-9).fit(df), 1e-4)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_quantile_predictions_have_that_share_of_labels_below(df, quantile):
    model = GradientDescentRegressor(loss="quantile", quantile=quantile, tol=1e-8).fit(df)
    share = model.transform(df).where("label <= prediction").count() / ROWS
    assert abs(share - quantile) <= 3 / ROWS  # three rows, one for each coefficient, lie on the plane itself


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "hinge"}, "loss='hinge' is not allowed; give one of squared"),
        ({"loss": "quantile", "quantile": 1.0}, "quantile=1.0"),
        ({"loss": "huber", "epsilon": 0.0}, "epsilon=0.0"),
        ({"loss": "epsilonInsensitive", "epsilon": -0.1}, "epsilon=-0.1"),
        ({"loss": "tweedie", "variancePower": 0.5}, "power=0.5"),
        ({"loss": "negativeBinomial", "alpha": 0.0}, "alpha=0.0"),
        ({"loss": LogCosh}, r"give an object of it: LogCosh\(\)"),
        ({"loss": 3}, "int has no value"),
        ({"loss": MultinomialLoss(3)}, "has 3 outputs; a regressor takes one"),
    ],
)
def test_losses_that_cannot_be_used_are_refused(df, params, message):
    with pytest.raises(InvalidParamError, match=message):
        GradientDescentRegressor(**params).fit(df)


class WrongDerivative(LogCosh):
    def derivative(self, label, raw_prediction):
        return super().derivative(label, raw_prediction) * 1.1


def test_a_loss_of_ones_own_is_checked_before_any_data_are_read(df):
    with pytest.raises(InvalidParamError, match="not the derivative of its value"):
        GradientDescentRegressor(loss=WrongDerivative()).fit(df.select("label"))


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_a_loss_of_ones_own_by_path_and_by_object(df, execution):
    params = {"regParam": 0.1, "execution": execution, "tol": 1e-9}
    by_path = GradientDescentRegressor(loss=LOG_COSH, **params).fit(df)
    by_object = GradientDescentRegressor(loss=LogCosh(), **params).fit(df)
    assert coefficients_of(by_path)[0].tolist() == coefficients_of(by_object)[0].tolist()
    distance = Y - X @ by_path.coefficients.toArray() - by_path.intercept
    slope = np.append(X.T @ np.tanh(distance), np.tanh(distance).sum()) / ROWS
    ridge = 0.1 * X.var(axis=0, ddof=1) * by_path.coefficients.toArray()
    np.testing.assert_allclose(slope, np.append(ridge, 0.0), atol=1e-5)


def test_a_loss_of_ones_own_in_pipeline_grid_and_files(df, tmp_path):
    regressor = GradientDescentRegressor(loss=LogCosh())
    grid = ParamGridBuilder().addGrid(regressor.regParam, [0.01, 1.0]).build()
    validator = CrossValidator(
        estimator=regressor, estimatorParamMaps=grid, evaluator=RegressionEvaluator(), numFolds=2, seed=1
    )
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
    pipeline = Pipeline(stages=[assembler, validator])
    pipeline.save(str(tmp_path / "pipeline"))
    plain = df.drop("features")
    model = Pipeline.load(str(tmp_path / "pipeline")).fit(plain)
    model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert isinstance(loaded.stages[-1], CrossValidatorModel)
    best = loaded.stages[-1].bestModel
    assert isinstance(best, GradientDescentRegressorModel)
    assert best.getLoss() == LOG_COSH
    assert loaded.transform(plain).collect() == model.transform(plain).collect()


def test_a_grid_of_losses(df):
    # A solver that is named has the same bits in company; "auto" lets one model lead another.
    estimator = GradientDescentRegressor(regParam=0.1, solver="newton")
    models = dict(estimator.fitMultiple(df, [{estimator.loss: given} for given in ("squared", LOG_COSH, LogCosh())]))
    assert models[0].coefficients != models[1].coefficients
    assert models[1].coefficients == models[2].coefficients


@pytest.mark.parametrize("execution", ["cluster", "driver"])
def test_a_loss_that_fails_costs_its_own_model_alone(df, execution):
    estimator = GradientDescentRegressor(regParam=0.1, execution=execution)
    told = r"the FailsFarOut loss failed: ArithmeticError: a label above 3.5"
    with nothing_left(df.sparkSession), pytest.raises(KernelError, match=told):
        estimator.copy({estimator.loss: FailsFarOut()}).fit(df)
    grid = ParamGridBuilder().addGrid(estimator.loss, [LogCosh(), FailsFarOut(), "squared"]).build()
    validator = tuning.CrossValidator(
        estimator=estimator, estimatorParamMaps=grid, evaluator=RegressionEvaluator(), numFolds=2, seed=1
    ).setCollectSubModels(True)  # what is collected is trained to tol, whatever it began with
    with nothing_left(df.sparkSession):
        model = validator.fit(df)
    assert np.isfinite(model.avgMetrics).tolist() == [True, False, True]
    failed = model.results[model.results["map"] == 1]
    assert (failed["status"] == "refused").all()
    assert failed["reason"].str.contains("a label above 3.5").all()
    alone = validator.copy({validator.estimatorParamMaps: [grid[0], grid[2]]}).fit(df)
    np.testing.assert_allclose(np.delete(model.avgMetrics, 1), alone.avgMetrics, rtol=1e-5)


def test_losses_that_cannot_be_saved_or_found_are_refused(df, tmp_path):
    with pytest.raises(IncompatibleError, match="it has settings"):
        GradientDescentRegressor(loss=WIDE).save(str(tmp_path / "wide"))
    with pytest.raises(ModelFormatError, match=r"cannot be imported.*pyFiles"):
        GradientDescentRegressor(loss="no_such_module:Loss").fit(df)
    model = GradientDescentRegressor(loss=LOG_COSH).fit(df)
    model.set(model.loss, "no_such_module:Loss")
    with pytest.raises(ModelFormatError, match="cannot be imported"):
        model.transform(df)


def test_what_a_file_names_is_not_imported_unless_the_program_has_done_so(spark, df, tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "trap.py").write_text("from tests.losses.own import LogCosh as Loss\n")
    monkeypatch.syspath_prepend(tmp_path / "code")
    estimator = GradientDescentRegressor(loss=LOG_COSH)
    model = estimator.fit(df)
    for number, instance in enumerate((estimator, model)):
        instance.set(instance.loss, "trap:Loss")
        path = str(tmp_path / str(number))
        instance.save(path)
        for load in (type(instance).load, lambda path: DefaultParamsReader.loadParamsInstance(path, spark)):
            with pytest.raises(ModelFormatError, match=r"names the loss 'trap:Loss'.*import trap before loading"):
                load(path)
        assert "trap" not in sys.modules
    plain = GradientDescentRegressor()
    validator = tuning.CrossValidator(
        estimator=plain, estimatorParamMaps=[{plain.loss: "trap:Loss"}], evaluator=RegressionEvaluator()
    )
    validator.save(str(tmp_path / "validator"))
    with pytest.raises(ModelFormatError, match="import trap before loading"):
        tuning.CrossValidator.load(str(tmp_path / "validator"))
    importlib.import_module("trap")
    assert GradientDescentRegressorModel.load(path).transform(df).count() == df.count()
    assert GradientDescentRegressor.load(str(tmp_path / "0")).getLoss() == "trap:Loss"
    assert tuning.CrossValidator.load(str(tmp_path / "validator")).getNumFolds() == 3
    monkeypatch.delitem(sys.modules, "trap")


def test_bounds_groups_and_offsets_go_with_any_loss(df):
    bounded = GradientDescentRegressor(loss="huber", lowerBoundsOnCoefficients=[0.0, 0.0]).fit(df)
    assert bounded.coefficients.toArray().min() >= 0.0
    grouped = GradientDescentRegressor(loss="huber", regParam=10.0, elasticNetParam=1.0, penaltyGroups=[0, 0]).fit(df)
    assert grouped.coefficients.toArray().tolist() == [0.0, 0.0]
    offset = GradientDescentRegressor(loss="poisson", offsetCol="a").fit(df)
    assert offset.coefficients[0] == pytest.approx(
        GradientDescentRegressor(loss="poisson").fit(df).coefficients[0] - 1.0, abs=1e-3
    )
    row = offset.transform(df).first()
    assert row.prediction == pytest.approx(offset.predict(row.features) * np.exp(row.a), rel=1e-10)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"penaltyGroups": [0, 0]}, IncompatibleError, "elasticNetParam=1.0"),
        ({"penaltyGroups": [0], "elasticNetParam": 1.0}, InvalidParamError, "has 1 entries, but there are 2 features"),
        ({"penaltyGroups": [0, -2], "elasticNetParam": 1.0}, InvalidParamError, "below -1"),
        ({"penaltyGroups": [0, 0], "elasticNetParam": 1.0, "penaltyWeights": [1.0, 1.0]}, IncompatibleError, "without"),
    ],
)
def test_groups_that_do_not_fit_are_refused(df, params, error, message):
    with pytest.raises(error, match=message):
        GradientDescentRegressor(regParam=0.1, **params).fit(df)
