"""Metrics by DataFrames alone are those of MLlib's own summaries, which need a JVM."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import LinearSVC, LogisticRegression
from sparkgd.exceptions import IncompatibleError
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression

BY_LABEL = ("labels", "truePositiveRateByLabel", "falsePositiveRateByLabel", "precisionByLabel", "recallByLabel")
CLASSES = (*BY_LABEL, "accuracy", "weightedTruePositiveRate", "weightedFalsePositiveRate", "weightedRecall",
           "weightedPrecision")  # fmt: skip
REGRESSION = ("explainedVariance", "meanAbsoluteError", "meanSquaredError", "rootMeanSquaredError", "r2",
              "numInstances", "devianceResiduals")  # fmt: skip
DEVIANCE = ("numInstances", "rank", "degreesOfFreedom", "residualDegreeOfFreedom", "deviance", "nullDeviance",
            "dispersion", "aic")  # fmt: skip


@pytest.fixture(scope="module")
def rows(spark):
    noise = F.sin(F.col("id") * 1.9) + F.cos(F.col("id") * 0.77)
    return spark.range(0, 300, 1, 2).select(
        F.array(F.sin("id"), F.cos(F.col("id") * 1.3)).alias("features"),
        (F.sin("id") + noise > 0.2).cast("double").alias("label"),
        (F.abs(noise * 2).cast("int") % 3).cast("double").alias("count"),
        (F.exp(F.sin("id") / 2 + noise / 3)).alias("positive"),
        (1 + F.col("id") % 3).cast("double").alias("weight"),
        F.cos("id").alias("offset"),
    )


def same(own, theirs, names):
    for name in names:
        np.testing.assert_allclose(getattr(own, name), getattr(theirs, name), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("weight", [None, "weight"])
@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), LogisticRegression(labelCol="count"), LinearSVC(regParam=0.1),
     LogisticRegression(offsetCol="offset", threshold=0.3)],
    ids=["binomial", "multinomial", "hinge", "offset and threshold"],
)  # fmt: skip
def test_classifiers(rows, estimator, weight):
    found = estimator.copy().setParams(weightCol=weight or "").fit(rows).evaluate(rows)
    own, theirs = found._metrics(), found._of_mllib
    same(own, theirs, CLASSES)
    for beta in (0.5, 2.0):
        np.testing.assert_allclose(own.fMeasureByLabel(beta), theirs.fMeasureByLabel(beta))
        assert own.weightedFMeasure(beta) == pytest.approx(theirs.weightedFMeasure(beta))


@pytest.mark.parametrize("estimator", [LogisticRegression(weightCol="weight"), LinearSVC(regParam=0.1)])
def test_curves(rows, estimator):
    """300 rows have few enough thresholds for MLlib to take them all."""
    found = estimator.copy().fit(rows).evaluate(rows)
    own, theirs = found._metrics(), found._of_mllib
    assert own.areaUnderROC == pytest.approx(theirs.areaUnderROC, rel=1e-9)
    for name in ("roc", "pr", "precisionByThreshold", "recallByThreshold", "fMeasureByThreshold"):
        mine, other = getattr(own, name), getattr(theirs, name)
        assert mine.columns == other.columns
        np.testing.assert_allclose(mine.toPandas().to_numpy(), other.toPandas().to_numpy(), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("has_intercept", [True, False])
def test_regressions(rows, has_intercept):
    estimator = LinearRegression(labelCol="positive", weightCol="weight", fitIntercept=has_intercept)
    found = estimator.fit(rows).evaluate(rows)
    same(found._metrics(), found._of_mllib, REGRESSION)


@pytest.mark.parametrize("has_intercept", [True, False])
@pytest.mark.parametrize(
    ("family", "label"), [("gaussian", "positive"), ("binomial", "label"), ("poisson", "count"), ("gamma", "positive")]
)
def test_generalized_regressions(rows, family, label, has_intercept):
    link = {"link": "log"} if family == "gamma" else {}
    estimator = GeneralizedLinearRegression(
        family=family, labelCol=label, weightCol="weight", fitIntercept=has_intercept, **link
    )
    found = estimator.fit(rows).evaluate(rows)
    own, theirs = found._metrics(), found._of_mllib
    same(own, theirs, DEVIANCE)
    for kind in ("deviance", "pearson", "working", "response"):
        mine, other = own.residuals(kind), theirs.residuals(kind)
        assert mine.columns == other.columns
        np.testing.assert_allclose(mine.toPandas(), other.toPandas(), rtol=1e-7, atol=1e-12, err_msg=kind)


def test_what_has_no_likelihood_or_needs_a_fit_says_so(rows):
    model = GeneralizedLinearRegression(family="tweedie", variancePower=1.5, labelCol="positive").fit(rows)
    with pytest.raises(IncompatibleError, match="has no AIC"):
        model.evaluate(rows)._metrics().aic  # noqa: B018
    model = GeneralizedLinearRegression(family="poisson", labelCol="count", offsetCol="offset").fit(rows)
    found = model.evaluate(rows)
    with pytest.raises(IncompatibleError, match="nullDeviance"):
        found._metrics().nullDeviance  # noqa: B018
    assert found._metrics().deviance == pytest.approx(found._of_mllib.deviance)
