"""Bad input: each kind has its own clear error, in the right order, and leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.engine import driver
from sparkgd.exceptions import (
    ConstantLabelWarning,
    IncompatibleError,
    InvalidDataError,
    InvalidParamError,
    SparkGDError,
)
from sparkgd.regression import LinearRegression
from tests.support.leftovers import nothing_left

SCHEMA = (
    "features array<double>, label double, weight double, offset double, valid boolean, name string, a double, b int"
)


@pytest.fixture(scope="module")
def df(spark):
    rng = np.random.default_rng(0)
    rows = [
        ([float(x) for x in rng.normal(size=2)], float(i % 2), 1.0, 0.0, i % 5 == 0, "x", float(i), i % 7)
        for i in range(40)
    ]
    return spark.createDataFrame(rows, SCHEMA).coalesce(2)


def at(df, column, value, label=None):
    """The DataFrame with ``value`` in some rows of a column."""
    chosen = (F.col("b") == 3) if label is None else (F.col("label") == label)
    return df.withColumn(column, F.when(chosen, F.lit(value)).otherwise(F.col(column)))


def array(*values):
    return F.array(*[F.lit(v).cast("double") for v in values])


nan, inf = float("nan"), float("inf")
Q = LogisticRegression

BEFORE_ANY_JOB = {
    "missing features": (
        Q(featuresCol="fetures"),
        lambda d: d,
        InvalidDataError,
        "featuresCol='fetures' does not exist",
    ),
    "missing label": (Q(labelCol="y"), lambda d: d, InvalidDataError, "labelCol='y'.*the DataFrame has 'features'"),
    "missing weight": (Q(weightCol="w"), lambda d: d, InvalidDataError, "weightCol='w'"),
    "missing offset": (Q(offsetCol="o"), lambda d: d, InvalidDataError, "offsetCol='o'"),
    "missing validation": (Q(validationIndicatorCol="v"), lambda d: d, InvalidDataError, "validationIndicatorCol='v'"),
    "missing in list": (Q(featuresCols=["a", "z"]), lambda d: d, InvalidDataError, "featuresCols='z'"),
    "text features": (
        Q(featuresCol="name"),
        lambda d: d,
        InvalidDataError,
        "has type string; it must be a vector or an",
    ),
    "number as features": (Q(featuresCol="a"), lambda d: d, InvalidDataError, "type double; it must be a vector"),
    "text in list": (Q(featuresCols=["a", "name"]), lambda d: d, InvalidDataError, "'name' has type string.*a number"),
    "text label": (Q(labelCol="name"), lambda d: d, InvalidDataError, "labelCol='name' has type string.*a number"),
    "text weight": (Q(weightCol="name"), lambda d: d, InvalidDataError, "weightCol='name' has type string"),
    "number as validation": (Q(validationIndicatorCol="a"), lambda d: d, InvalidDataError, "must be boolean"),
    "regParam": (Q(regParam=-0.1), lambda d: d, InvalidParamError, "regParam=-0.1 is not allowed; give >= 0"),
    "regParam nan": (Q(regParam=float("nan")), lambda d: d, InvalidParamError, "regParam=nan"),
    "maxIter": (Q(maxIter=-1), lambda d: d, InvalidParamError, "maxIter=-1.*>= 0"),
    "tol": (Q(tol=-1e-9), lambda d: d, InvalidParamError, "tol="),
    "stepSize": (Q(solver="gd", stepSize=0.0), lambda d: d, InvalidParamError, "stepSize=0.0.*> 0"),
    "momentum": (Q(solver="gd", momentum=1.0), lambda d: d, InvalidParamError, r"momentum=1.0.*\[0, 1\)"),
    "fraction": (
        Q(solver="sgd", miniBatchFraction=1.5),
        lambda d: d,
        InvalidParamError,
        r"miniBatchFraction=1.5.*\(0, 1\]",
    ),
    "batchSize": (Q(solver="sgd", batchSize=0), lambda d: d, InvalidParamError, "batchSize=0"),
    "threshold": (Q(threshold=1.5), lambda d: d, InvalidParamError, "threshold=1.5"),
    "early stopping": (
        Q(earlyStoppingRounds=0, validationIndicatorCol="valid"),
        lambda d: d,
        InvalidParamError,
        "=0.*>= 1",
    ),
    "early stopping by nothing": (
        Q(earlyStoppingRounds=5),
        lambda d: d,
        InvalidParamError,
        "earlyStoppingRounds=5 needs validationIndicatorCol",
    ),
    "depth": (Q(aggregationDepth=0), lambda d: d, InvalidParamError, "aggregationDepth=0"),
    "execution": (Q(execution="mars"), lambda d: d, InvalidParamError, "execution='mars'.*'auto', 'cluster', 'driver'"),
    "dtype": (Q(dtype="int8"), lambda d: d, InvalidParamError, "dtype='int8'.*'float64', 'float32'"),
    "unknown solver": (Q(solver="adamw"), lambda d: d, InvalidParamError, "solver='adamw' is not allowed.*'l-bfgs'"),
    "unknown schedule": (Q(schedule="warm"), lambda d: d, InvalidParamError, "schedule='warm'"),
    "maxSeconds": (Q(maxSeconds=0.0), lambda d: d, InvalidParamError, "maxSeconds=0.0"),
    "params come before the schema": (Q(labelCol="y", regParam=-1.0), lambda d: d, InvalidParamError, "regParam"),
}

FOUND_BY_INGEST = {
    "null features": (Q(), lambda d: at(d, "features", None), "column 'features': 6 rows with values that are null"),
    "null label": (Q(), lambda d: at(d, "label", None), "column 'label': 6 rows .* null; drop"),
    "null weight": (Q(weightCol="weight"), lambda d: at(d, "weight", None), "column 'weight': 6 rows .* null"),
    "null offset": (Q(offsetCol="offset"), lambda d: at(d, "offset", None), "column 'offset': 6 rows .* null"),
    "null validation": (
        Q(validationIndicatorCol="valid"),
        lambda d: at(d, "valid", None),
        "column 'valid': 6 rows .* null",
    ),
    "null in array": (
        Q(),
        lambda d: at(d, "features", array(1, None)),
        "column 'features': 6 rows .* NaN or infinite in feature 1;",
    ),
    "null in list": (
        Q(featuresCols=["a", "b"]),
        lambda d: at(d, "b", None),
        "6 rows .* NaN or infinite in 'b'; impute",
    ),
    "NaN features": (Q(), lambda d: at(d, "features", array(float("nan"), 1)), "6 rows .* in feature 0;"),
    "infinite features": (
        Q(),
        lambda d: at(d, "features", array(float("inf"), float("-inf"))),
        "6 rows .* in feature 0, feature 1",
    ),
    "NaN label": (Q(), lambda d: at(d, "label", nan), "column 'label': 6 rows .* NaN or infinite"),
    "infinite label": (Q(), lambda d: at(d, "label", inf), "column 'label': 6 rows .* NaN or infinite"),
    "NaN weight": (Q(weightCol="weight"), lambda d: at(d, "weight", nan), "column 'weight': 6 rows .* NaN or infinite"),
    "negative weight": (
        Q(weightCol="weight"),
        lambda d: at(d, "weight", -1.0),
        "column 'weight': 6 rows .* negative; weights must",
    ),
    "NaN offset": (Q(offsetCol="offset"), lambda d: at(d, "offset", nan), "column 'offset': 6 rows .* NaN or infinite"),
    "all weights zero": (
        Q(weightCol="weight"),
        lambda d: d.withColumn("weight", F.lit(0.0)),
        "every weight in column 'weight' is zero",
    ),
    "fractional label": (Q(), lambda d: at(d, "label", 0.5), "column 'label' .* fractional; .* integers from 0 to 1"),
    "label out of range": (
        Q(family="binomial"),
        lambda d: at(d, "label", 2.0),
        "labels from 0 to 2; .* integers from 0 to 1",
    ),
    "negative label": (Q(), lambda d: at(d, "label", -1.0), "labels from -1 to 1"),
    "constant target without a unit for L2": (
        LinearRegression(labelCol="weight", fitIntercept=False, regParam=0.1),
        lambda d: d,
        "column 'weight' holds only the label 1: its standard deviation, .* is 0. Set regParam=0",
    ),
    "ragged": (Q(), lambda d: at(d, "features", array(1, 2, 3)), r"different lengths \(2, 3\)"),
    "ragged from the first row": (
        Q(),
        lambda d: d.limit(2).withColumn("features", F.when(F.col("label") == 0, array(1)).otherwise(array(1, 2))),
        r"different lengths \(1, 2\)",
    ),
    "no features": (
        Q(family="multinomial"),
        lambda d: d.withColumn("features", F.array().cast("array<double>")),
        "length 0; there are no features",
    ),
    "empty": (Q(), lambda d: d.where("b > 100"), "no rows; there is nothing to train on"),
    "features too large to be scaled": (
        Q(),
        lambda d: at(d, "features", array(1, 1e155)),
        "column 'features': the values of feature 1 are so large that their variance overflows",
    ),
    "features too large to be scaled beside a constant label": (
        LinearSVC(labelCol="offset"),
        lambda d: at(d, "features", array(1e300, 1e155)),
        "column 'features': the values of feature 0, feature 1 are so large that their variance overflows",
    ),
    "label too large to be scaled": (
        LinearRegression(),
        lambda d: at(d, "label", 1e160),
        r"column 'label' holds labels from 0 to 1e\+160, so large that their variance overflows",
    ),
    "weights too large to be squared": (
        Q(weightCol="weight"),
        lambda d: at(d, "weight", 1e160),
        r"weights in column 'weight' that add up to 6e\+160 are too large: their squares overflow",
    ),
    "class weights too large to be squared": (
        Q(classWeight={1: 1e160}),
        lambda d: d,
        r"weights by classWeight that add up to 2e\+161 are too large: their squares overflow",
    ),
    "only validation rows": (
        Q(validationIndicatorCol="valid"),
        lambda d: d.where("valid"),
        "no row is left to train on",
    ),
}


@pytest.mark.smoke
@pytest.mark.parametrize("case", BEFORE_ANY_JOB)
def test_errors_of_params_and_schema_come_before_any_job(spark, df, case):
    estimator, change, error, message = BEFORE_ANY_JOB[case]
    group = f"bad input {case}"
    spark.sparkContext.setJobGroup(group, "")
    try:
        with pytest.raises(error, match=message):
            estimator.fit(change(df))
        assert len(spark.sparkContext.statusTracker().getJobIdsForGroup(group)) == 0
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)


@pytest.mark.parametrize("case", FOUND_BY_INGEST)
def test_errors_of_the_data_leave_nothing_behind(spark, df, case):
    estimator, change, message = FOUND_BY_INGEST[case]
    with nothing_left(spark), pytest.raises(InvalidDataError, match=message):
        estimator.fit(change(df))


@pytest.mark.smoke
@pytest.mark.parametrize("execution", ["cluster", "driver"])
@pytest.mark.parametrize("label", [20_000.0, -1.0, 0.5])
def test_class_weights_of_labels_that_are_no_classes_are_refused_first(spark, df, execution, label, monkeypatch):
    monkeypatch.setattr(driver, "SAMPLED_BYTES", 0)
    estimator = LogisticRegression(classWeight={1: 2.0}, execution=execution)
    with nothing_left(spark), pytest.raises(InvalidDataError, match=r"column 'label' .* classWeight needs integers"):
        estimator.fit(at(df, "label", label))


@pytest.mark.parametrize("execution", ["cluster", "driver"])
def test_a_refused_combination_leaves_nothing_behind(spark, df, execution):
    estimator = LogisticRegression(solver="sgd", schedule="lineSearch", execution=execution)
    with nothing_left(spark), pytest.raises(IncompatibleError, match="give one of 'auto', 'constant'"):
        estimator.fit(df)
    estimator = LogisticRegression(initialCoefficients=[1.0, 2.0, 3.0], execution=execution)
    with nothing_left(spark), pytest.raises(InvalidParamError, match=r"initialCoefficients has shape \(1, 3\)"):
        estimator.fit(df)


def test_bounds_that_cannot_be_squared_are_no_summary_without_an_objective(spark, df):
    constant = df.withColumn("label", F.lit(1.0))
    estimator = GradientDescentClassifier(lowerBoundsOnCoefficients=[1.0, 1e300])
    with nothing_left(spark), pytest.warns(ConstantLabelWarning), pytest.raises(SparkGDError):
        estimator.fit(constant)


def test_a_function_of_the_user_that_fails_shows_its_error_and_leaves_nothing_behind(spark, df):
    @F.udf(DoubleType())
    def fails(a):
        if a == 33.0:
            raise ValueError("the user's own error")
        return a % 2

    with nothing_left(spark), pytest.raises(Exception, match="the user's own error"):
        LogisticRegression().fit(df.withColumn("label", fails("a")))


def test_a_callback_that_fails_leaves_nothing_behind(spark, df):
    def fails(record):
        raise RuntimeError("the callback's own error")

    for execution in ("cluster", "driver"):
        with nothing_left(spark), pytest.raises(RuntimeError, match="the callback's own error"):
            LogisticRegression(execution=execution).setCallbacks([fails]).fit(df)


@pytest.mark.parametrize("value", [np.zeros(3), {"a": 1.0}, {float("nan"): 1.0}, {0: "x"}, {0: None}], ids=repr)
def test_class_weights_of_the_wrong_type_are_refused_in_words(value):
    with pytest.raises((TypeError, InvalidParamError), match="classWeight"):
        LogisticRegression(classWeight=value)


def test_unknown_names_are_refused_with_the_nearest_known_one():
    with pytest.raises(TypeError, match="has no param 'regparam'; did you mean 'regParam'"):
        LogisticRegression(regparam=0.1)
