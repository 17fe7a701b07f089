"""Standard errors of several classes: differences are those of statsmodels, the rest follows from the information."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from tests.support.frames import frame
from tests.support.inference_cases import MULTINOMIAL_CASES, REFERENCES

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

KINDS = ("classic", "HC0", "HC1", "cluster")
EXACT = {"tol": 1e-13, "maxIter": 300}

RNG = np.random.default_rng(3)
N, K = 200, 4
X = RNG.normal(size=(N, 3)) * np.array([1.0, 40.0, 0.02]) + np.array([0.0, 1e4, 3.0])
Z = (X - X.mean(axis=0)) / X.std(axis=0)
WEIGHT = RNG.integers(1, 4, size=N).astype(float)
KIND = np.argmax(Z @ RNG.normal(size=(3, K)) + RNG.gumbel(size=(N, K)), axis=1).astype(float)


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, KIND, weight=WEIGHT, cluster=np.arange(N) % 30).cache()
    yield data
    data.unpersist()


def inference(summary, kind: str):
    return summary.inference(kind, clusterCol="cluster" if kind == "cluster" else None)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
@pytest.mark.parametrize("name", MULTINOMIAL_CASES)
def test_differences_from_a_class_are_those_of_statsmodels(spark, name, execution):
    case, expected = MULTINOMIAL_CASES[name](), json.loads(REFERENCES.read_text())[name]
    df = frame(spark, case.features, case.label, cluster=case.cluster)
    summary = LogisticRegression(execution=execution, **EXACT).fit(df).summary
    for kind in KINDS:
        found = inference(summary, kind).contrasts(0)
        np.testing.assert_allclose(found.standardErrors, expected[kind], rtol=1e-6, err_msg=kind)
    np.testing.assert_allclose(found.estimates, expected["estimates"], rtol=1e-6)


def full_covariance(model, kind: str, fit_intercept: bool) -> np.ndarray:
    """By the singular information of all classes and its pseudo-inverse, in columns that are centred and scaled."""
    design = np.column_stack([Z, np.ones(N)]) if fit_intercept else X / X.std(axis=0)
    raw = X @ model._weights.T + model._intercepts
    probability = np.exp(raw - raw.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    scores = (WEIGHT[:, None] * (np.eye(K)[KIND.astype(int)] - probability))[:, :, None] * design[:, None, :]
    scores = scores.reshape(N, -1)
    curvature = np.eye(K) * probability[:, None, :] - probability[:, :, None] * probability[:, None, :]
    width = design.shape[1]
    information = np.einsum("n,nkl,ni,nj->kilj", WEIGHT, curvature, design, design).reshape(K * width, K * width)
    inverse = np.linalg.pinv(information, rcond=1e-10)
    spread = inverse if kind == "classic" else inverse @ scores.T @ scores @ inverse
    back = np.diag(1.0 / X.std(axis=0))
    if fit_intercept:
        back = np.block([[back, np.zeros((3, 1))], [-X.mean(axis=0) / X.std(axis=0), np.ones(1)]])
    back = np.kron(np.eye(K), back)
    return back @ spread @ back.T


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", ["classic", "HC0"])
def test_errors_of_centred_coefficients_are_those_of_the_pseudo_inverse(df, kind, fit_intercept):
    model = LogisticRegression(weightCol="weight", fitIntercept=fit_intercept, **EXACT).fit(df)
    covariance = full_covariance(model, kind, fit_intercept)
    found = model.summary.inference(kind)
    np.testing.assert_allclose(found.standardErrors, np.sqrt(np.diag(covariance)), rtol=1e-7)
    width = 3 + fit_intercept
    difference = np.kron(np.array([[1.0, 0, -1, 0], [0, 1, -1, 0], [0, 0, -1, 1]]), np.eye(width))
    contrasts = found.contrasts(2)
    np.testing.assert_allclose(
        contrasts.standardErrors, np.sqrt(np.diag(difference @ covariance @ difference.T)), rtol=1e-7
    )
    np.testing.assert_allclose(contrasts.estimates, difference @ found.estimates)
    assert found.degreesOfFreedom == N - (K - 1) * width


def test_two_classes_as_a_multinomial_model_are_the_binomial_one(spark):
    """Its differences are the binomial coefficients, and the centred ones half of them."""
    df = frame(spark, X, (KIND > 1).astype(float), cluster=np.arange(N) % 30)
    one = LogisticRegression(**EXACT).fit(df).summary
    two = LogisticRegression(family="multinomial", **EXACT).fit(df).summary
    for kind in KINDS:
        expected, found = inference(one, kind), inference(two, kind)
        np.testing.assert_allclose(found.contrasts(0).estimates, expected.estimates, rtol=1e-6)
        np.testing.assert_allclose(found.contrasts(0).standardErrors, expected.standardErrors, rtol=1e-6)
        np.testing.assert_allclose(found.standardErrors[4:], expected.standardErrors / 2, rtol=1e-6)
        np.testing.assert_allclose(found.contrasts(0).pValues, expected.pValues, rtol=1e-5)


def test_the_table_has_a_row_for_each_class_and_name(df):
    model = LogisticRegression(**EXACT).fit(df)
    table = model.summary.coefficientTable
    assert table.index.names == ["class", "name"]
    assert table.loc[(2, "features_1"), "estimate"] == model.coefficientMatrix.toArray()[2, 1]
    assert table.loc[(3, "(Intercept)"), "estimate"] == model.interceptVector[3]
    np.testing.assert_allclose(table["std error"], model.summary.coefficientStandardErrors)
    contrasts = model.summary.inference().contrasts(1).table()
    assert contrasts.index.levels[0].tolist() == [0, 2, 3]
    again = model.summary.inference().contrasts(1).contrasts(0)
    pd.testing.assert_frame_equal(again.table(), model.summary.inference().contrasts(0).table())
    printed = str(model.summary)
    assert "P>|z|" in printed
    assert "features_1" in printed


def test_a_constant_column_has_no_errors(df):
    constant = df.withColumn("one", F.lit(5.0))
    model = LogisticRegression(featuresCols=["features", "one"], **EXACT).fit(constant)
    without = LogisticRegression(**EXACT).fit(constant)
    table = model.summary.coefficientTable
    assert table.xs("features_3", level="name")["std error"].isna().all()
    np.testing.assert_allclose(
        table.drop("features_3", level="name")["std error"], without.summary.coefficientStandardErrors, rtol=1e-6
    )


def test_what_has_no_meaning_is_refused(spark, df):
    summary = LogisticRegression().fit(df).summary
    for kind in ("HC2", "HC3"):
        with pytest.raises(IncompatibleError, match=f"covariance='{kind}' .* give one of classic, HC0, HC1, cluster"):
            summary.inference(kind)
    for base in (-1, K, "a"):
        with pytest.raises(InvalidParamError, match=r"base=.* give one of the classes 0 to 3"):
            summary.inference().contrasts(base)
    with pytest.raises(IncompatibleError, match=r"regParam=0.1: "):
        _ = LogisticRegression(regParam=0.1).fit(df).summary.pValues
    gap = df.withColumn("label", F.when(F.col("label") == 2, 5.0).otherwise(F.col("label")))
    with pytest.raises(IncompatibleError, match="no row has the label 2, 4: "):
        _ = LogisticRegression().fit(gap).summary.pValues
