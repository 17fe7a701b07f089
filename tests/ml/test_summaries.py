"""Summaries have MLlib's surface and numbers; standard errors are those of the textbook, or refused with a reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparkgd import classification, regression
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from tests.support.frames import frame

RNG = np.random.default_rng(11)
N = 120
X = RNG.normal(size=(N, 3)) * np.array([1.0, 40.0, 0.02]) + np.array([0.0, 1e4, 3.0])
Z = (X - X.mean(axis=0)) / X.std(axis=0)
WEIGHT = RNG.integers(1, 4, size=N).astype(float)
OFFSET = 0.3 * RNG.normal(size=N)
LABEL = (Z[:, 0] - 0.5 * Z[:, 2] + RNG.logistic(size=N) > 0).astype(float)
AMOUNT = 2.0 + Z[:, 1] + (0.5 + np.abs(Z[:, 0])) * RNG.normal(size=N)
COUNT = RNG.poisson(np.exp(0.4 + 0.3 * Z[:, 1])).astype(float)
KIND = np.argmax(Z + RNG.gumbel(size=Z.shape), axis=1).astype(float)

BY_LABEL = ("truePositiveRateByLabel", "falsePositiveRateByLabel", "precisionByLabel", "recallByLabel", "labels")
CLASSES = (
    "accuracy", "weightedTruePositiveRate", "weightedFalsePositiveRate", "weightedRecall", "weightedPrecision",
    *BY_LABEL,
)  # fmt: skip
CURVES = ("roc", "pr", "fMeasureByThreshold", "precisionByThreshold", "recallByThreshold")
BINARY = (*CLASSES, *CURVES, "areaUnderROC", "scoreCol")
LOGISTIC = ("probabilityCol", "featuresCol")
LINEAR = (
    "explainedVariance", "meanAbsoluteError", "meanSquaredError", "rootMeanSquaredError", "r2", "r2adj", "residuals",
    "numInstances", "degreesOfFreedom", "devianceResiduals", "featuresCol", "labelCol",
)  # fmt: skip
GLM = (
    "rank", "degreesOfFreedom", "residualDegreeOfFreedom", "residualDegreeOfFreedomNull", "nullDeviance", "deviance",
    "dispersion", "aic", "numInstances",
)  # fmt: skip
TESTS = ("coefficientStandardErrors", "tValues", "pValues")

CASES = {
    "binomial": ("LogisticRegression", "label", {}, (*BINARY, *LOGISTIC)),
    "binomial, weights, ridge": (
        "LogisticRegression", "label", {"weightCol": "weight", "regParam": 0.1}, (*BINARY, *LOGISTIC, "weightCol"),
    ),
    "multinomial": ("LogisticRegression", "kind", {"weightCol": "weight"}, (*CLASSES, *LOGISTIC)),
    "svc": ("LinearSVC", "label", {"regParam": 0.3, "weightCol": "weight"}, BINARY),
    "linear": ("LinearRegression", "amount", {}, (*LINEAR, *TESTS)),
    "linear, weights": ("LinearRegression", "amount", {"weightCol": "weight"}, (*LINEAR, *TESTS)),
    "linear, no intercept": ("LinearRegression", "amount", {"fitIntercept": False}, TESTS),
    "linear, lasso": ("LinearRegression", "amount", {"regParam": 0.1, "elasticNetParam": 1.0}, LINEAR),
    "huber": ("LinearRegression", "amount", {"loss": "huber"}, LINEAR),
    "gaussian": ("GeneralizedLinearRegression", "amount", {"weightCol": "weight"}, (*GLM, *TESTS)),
    "poisson, offset": (
        "GeneralizedLinearRegression", "count", {"family": "poisson", "offsetCol": "offset"}, (*GLM, *TESTS),
    ),
    "logit": ("GeneralizedLinearRegression", "label", {"family": "binomial", "weightCol": "weight"}, (*GLM, *TESTS)),
    "probit": ("GeneralizedLinearRegression", "label", {"family": "binomial", "link": "probit"}, (*GLM, *TESTS)),
    "gamma": ("GeneralizedLinearRegression", "positive", {"family": "gamma", "link": "log"}, (*GLM, *TESTS)),
    "tweedie": (
        "GeneralizedLinearRegression", "count", {"family": "tweedie", "variancePower": 1.5},
        (*GLM[:-2], "numInstances", *TESTS),  # MLlib has no AIC of it
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def df(spark):
    columns = {"weight": WEIGHT, "offset": OFFSET, "amount": AMOUNT, "count": COUNT, "kind": KIND}
    more = {"positive": np.exp(0.1 * AMOUNT), "a": X[:, 0], "b": X[:, 1], "c": X[:, 2]}
    data = frame(spark, X, LABEL, **columns, **more).cache()
    data.count()
    yield data
    data.unpersist()


def numbers(value):
    """What is to be compared of an attribute."""
    if isinstance(value, DataFrame):
        return value.toPandas().to_numpy()
    return value if isinstance(value, str) or value is None else np.asarray(value, dtype=float)


def assert_alike(ours, theirs, name):
    left, right = numbers(getattr(ours, name)), numbers(getattr(theirs, name))
    if isinstance(right, str):
        assert left == right, name
    else:
        np.testing.assert_allclose(left, right, rtol=5e-5, atol=1e-5, err_msg=name)


def pair(df, case, **more):
    name, label, params, attributes = CASES[case]
    ours, theirs = (
        next(getattr(module, name) for module in modules if hasattr(module, name))
        for modules in ([classification, regression], [mllib_classification, mllib_regression])
    )
    exact = {"tol": 1e-11, "maxIter": 300}
    return (kind(labelCol=label, **params, **exact, **more).fit(df) for kind in (ours, theirs)), attributes


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", CASES)
def test_a_summary_is_that_of_mllib_attribute_by_attribute(df, case):
    (ours, theirs), attributes = pair(df, case)
    if case == "svc":  # MLlib's stops short of the optimum: its summary is compared on one and the same model
        theirs = ours.toMLlib()
    reference = theirs.evaluate(df) if case == "svc" else theirs.summary
    for name in attributes:
        assert_alike(ours.summary, reference, name)
        if name not in TESTS:
            assert_alike(ours.evaluate(df), reference, name)
    assert ours.summary.predictions.columns == reference.predictions.columns
    if "accuracy" in attributes:
        assert ours.summary.fMeasureByLabel(2.0) == pytest.approx(list(reference.fMeasureByLabel(2.0)))
        assert ours.summary.weightedFMeasure() == pytest.approx(reference.weightedFMeasure())
    if "deviance" in attributes:
        for kind in ("deviance", "pearson", "working", "response"):
            left, right = (each.residuals(kind).toPandas() for each in (ours.summary, reference))
            pd.testing.assert_frame_equal(left, right, rtol=1e-4, atol=1e-6)


def test_the_summary_of_a_support_vector_machine_can_be_called_as_in_mllib(df):
    model = classification.LinearSVC(regParam=0.1).fit(df)
    assert model.summary() is model.summary
    assert model.summary().areaUnderROC > 0.5


def test_several_columns_and_an_offset_make_no_difference(df):
    for kind, label in ((classification.LogisticRegression, "label"), (regression.LinearRegression, "amount")):
        params = {"labelCol": label, "offsetCol": "offset", "weightCol": "weight"}
        vector = kind(**params).fit(df)
        several = kind(**params, featuresCols=["a", "b", "c"]).fit(df)
        for name in ("areaUnderROC", "accuracy") if label == "label" else ("r2adj", "meanSquaredError"):
            assert getattr(several.summary, name) == pytest.approx(getattr(vector.summary, name))
        assert several.coefficientTable.index.tolist() == ["a", "b", "c", "(Intercept)"]
    margin = F.col("amount") - F.col("prediction")
    expected = several.transform(df).select(F.sum(F.col("weight") * margin**2))
    assert several.summary.meanSquaredError == pytest.approx(expected.first()[0] / WEIGHT.sum())


def textbook(design, weight, information, score, dispersion, kind, rows):
    """Standard errors by the formulas, from a design with the intercept's column."""
    bread = np.linalg.inv(design.T @ (design * (weight * information)[:, None]))
    if kind == "classic":
        return np.sqrt(np.diag(bread) * dispersion)
    leverage = weight * information * np.einsum("ij,jk,ik->i", design, bread, design)
    squares = (weight * score) ** 2 / (1.0 - leverage) ** {"HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2}[kind]
    spread = bread @ (design.T @ (design * squares[:, None])) @ bread
    factor = rows / (rows - design.shape[1]) if kind == "HC1" else 1.0
    return np.sqrt(np.diag(spread) * factor)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
@pytest.mark.parametrize("kind", ["classic", "HC0", "HC1", "HC2", "HC3"])
def test_standard_errors_are_those_of_the_formulas(df, execution, kind):
    design, params = np.column_stack([X, np.ones(N)]), {"weightCol": "weight", "execution": execution, "tol": 1e-12}
    model = classification.LogisticRegression(offsetCol="offset", **params).fit(df)
    mean = 1.0 / (1.0 + np.exp(-(design @ np.append(model.coefficients, model.intercept) + OFFSET)))
    expected = textbook(design, WEIGHT, mean * (1.0 - mean), LABEL - mean, 1.0, kind, N)
    np.testing.assert_allclose(model.summary.inference(kind).standardErrors, expected, rtol=1e-6)

    model = regression.LinearRegression(labelCol="amount", **params).fit(df)
    residual = AMOUNT - design @ np.append(model.coefficients, model.intercept)
    expected = textbook(design, WEIGHT, np.ones(N), residual, WEIGHT @ residual**2 / (N - 4), kind, N)
    np.testing.assert_allclose(model.summary.inference(kind).standardErrors, expected, rtol=1e-6)


def test_validation_rows_and_class_weights_are_those_of_the_fit(df):
    held = df.withColumn("held", F.monotonically_increasing_id() % 4 == 0)
    params = {"validationIndicatorCol": "held", "classWeight": {0: 2.0}, "maxIter": 100, "tol": 1e-12}
    model = classification.LogisticRegression(**params).fit(held)
    kept = held.where("not held").withColumn("w", F.when(F.col("label") == 0, 2.0).otherwise(1.0))
    alone = classification.LogisticRegression(weightCol="w", initialCoefficients=model.coefficients, maxIter=0)
    alone.setInitialIntercept(model.intercept)
    np.testing.assert_allclose(
        model.summary.coefficientStandardErrors, alone.fit(kept).summary.coefficientStandardErrors, rtol=1e-9
    )
    assert model.summary.accuracy == pytest.approx(alone.setWeightCol("").fit(kept).summary.accuracy)


REFUSED = {
    "ridge": (classification.LogisticRegression(regParam=0.1), "regParam=0.1: .* fit with regParam=0"),
    "bounds": (
        classification.LogisticRegression(lowerBoundsOnCoefficients=[0.0, 0.0, 0.0]),
        "lowerBoundsOnCoefficients: .* without bounds",
    ),
    "multinomial, ridge": (classification.LogisticRegression(labelCol="kind", regParam=0.1), "regParam=0.1: "),
    "huber": (regression.LinearRegression(labelCol="amount", loss="huber"), "loss='huber'"),
    "a column that others determine": (
        regression.LinearRegression(labelCol="amount", featuresCols=["a", "b", "both"]),
        "depend on each other linearly",
    ),
}


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_standard_errors_that_would_not_be_valid_are_refused(df, case):
    estimator, message = REFUSED[case]
    model = estimator.fit(df.withColumn("both", F.col("a") + F.col("b")))
    with pytest.raises(IncompatibleError, match=message):
        _ = model.summary.pValues
    assert "no coefficient table: " in str(model.summary)
    assert model.coefficientTable.shape == (4, 3 if "multinomial" in case else 1)


def test_a_covariance_that_is_not_there_is_refused(df):
    summary = regression.LinearRegression(labelCol="amount").fit(df).summary
    with pytest.raises(InvalidParamError, match="covariance='HC9' is not allowed; give one of classic, HC0"):
        summary.inference("HC9")


def test_a_constant_column_has_no_standard_error(df):
    constant = df.withColumn("one", F.lit(5.0))
    model = regression.LinearRegression(labelCol="amount", featuresCols=["a", "one", "b"]).fit(constant)
    without = regression.LinearRegression(labelCol="amount", featuresCols=["a", "b"]).fit(constant)
    table, other = model.coefficientTable, without.coefficientTable
    assert np.isnan(table.loc["one", "std error"])
    pd.testing.assert_frame_equal(table.drop("one"), other, rtol=1e-8)


def test_printed_it_is_a_table_by_the_names_of_the_features(df, tmp_path):
    from pyspark.ml.feature import VectorAssembler

    named = VectorAssembler(inputCols=["a", "b", "c"], outputCol="v").transform(df)
    model = regression.GeneralizedLinearRegression(family="poisson", featuresCol="v", labelCol="count").fit(named)
    lines = str(model.summary).splitlines()
    header = next(i for i, line in enumerate(lines) if "std error" in line)
    assert lines[header].split() == ["estimate", "std", "error", "z", "P>|z|", "0.025", "0.975"]
    assert [line.split()[0] for line in lines[header + 1 : header + 5]] == ["a", "b", "c", "(Intercept)"]
    assert "std error" not in repr(model.summary)
    assert model.summary._repr_html_().startswith("<pre>GeneralizedLinearRegressionTrainingSummary")
    model.save(str(tmp_path / "model"))
    loaded = type(model).load(str(tmp_path / "model"))
    assert loaded.featureNames == ["a", "b", "c"]
    assert loaded.coefficientTable["estimate"].tolist() == model.coefficientTable["estimate"].tolist()


def test_summaries_survive_copies_pipelines_and_lists_of_param_maps(df):
    from pyspark.ml import Pipeline

    estimator = classification.LogisticRegression(regParam=0.1)
    model = Pipeline(stages=[estimator]).fit(df).stages[0]
    assert model.copy().summary.areaUnderROC == model.summary.areaUnderROC
    models = estimator.fit(df, [{estimator.regParam: 0.0}, {}])
    assert [len(each.summary.objectiveHistory) > 0 for each in models] == [True, True]
    assert models[0].summary.coefficientStandardErrors
    decided = estimator.fit(df.where("label = 1"))
    assert decided.summary.accuracy == 1.0
