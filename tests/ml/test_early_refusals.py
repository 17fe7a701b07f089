"""What params, loss, penalty and solver decide among themselves is refused before a row is read."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression

REFUSED = {
    "rough penalty": (
        LogisticRegression(solver="newton-cg", regParam=0.1, elasticNetParam=0.5),
        "L1, bounds or groups",
    ),
    "bounds": (
        GradientDescentRegressor(solver="newton-cg", lowerBoundsOnCoefficients=[0.0, 0.0]),
        "L1, bounds or groups",
    ),
    "bounds on the intercept": (
        LogisticRegression(solver="newton-cg", upperBoundsOnIntercepts=[1.0]),
        "L1, bounds or groups",
    ),
    "groups": (
        GradientDescentClassifier(solver="newton", regParam=0.1, elasticNetParam=1.0, penaltyGroups=[0, 0]),
        "ties weights together in groups",
    ),
    "groups and bounds": (
        GradientDescentClassifier(regParam=0.1, penaltyGroups=[0, 0]),
        "penaltyGroups goes with elasticNetParam=1.0",
    ),
    "kinks": (LinearSVC(solver="gd"), "hinge loss is not differentiable"),
    "schedule": (LinearRegression(solver="sgd", schedule="lineSearch"), "schedule='lineSearch' cannot be used"),
    "local solver": (LogisticRegression(solver="localSGD", momentum=0.9), "momentum=0.9 cannot be used"),
    "offset": (LogisticRegression(family="multinomial", offsetCol="label"), "offsetCol cannot be used"),
}


@pytest.fixture(scope="module")
def unreadable(spark):
    """A DataFrame that fails as soon as a row of it is computed."""
    rows = spark.range(10).select(F.array(F.col("id").cast("double"), F.lit(1.0)).alias("features"), "id")
    return rows.select("features", (F.raise_error(F.lit("a row was read")).cast("double") + F.col("id")).alias("label"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_combination_that_cannot_work_is_refused_before_any_job(unreadable, name):
    estimator, message = REFUSED[name]
    with pytest.raises(IncompatibleError, match=message):
        estimator.fit(unreadable)


@pytest.mark.parametrize("start", [{"initialCoefficients": [np.nan, 0.0]}, {"initialIntercept": np.inf}], ids=str)
def test_so_is_a_start_that_is_not_finite(unreadable, start):
    with pytest.raises(InvalidParamError, match="not finite"):
        GeneralizedLinearRegression(family="poisson", **start).fit(unreadable)


def test_what_can_work_reads_the_rows(unreadable):
    with pytest.raises(Exception, match="a row was read"):
        LogisticRegression(solver="newton-cg", regParam=0.1).fit(unreadable)


def test_a_sample_is_drawn_only_for_fits_that_may_use_it():
    assert LogisticRegression()._packing().wants_sample
    assert not LogisticRegression(solver="newton")._packing().wants_sample
    assert not LogisticRegression(initialIntercept=0.5)._packing().wants_sample
    assert GeneralizedLinearRegression()._packing().wants_sample, "irls means auto"
