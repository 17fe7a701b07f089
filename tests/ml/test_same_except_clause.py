"""What ``pyspark.ml`` refuses, an ``except`` clause written for it catches from sparkgd too."""

from __future__ import annotations

import pickle

import pytest
from pyspark.errors import IllegalArgumentException
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression

from sparkgd import classification, exceptions, regression
from sparkgd.ml.errors import InvalidDataError

CASES = {
    "missing features": ("LogisticRegression", {"featuresCol": "fetures"}, "featuresCol='fetures' does not exist"),
    "missing label": ("LinearSVC", {"labelCol": "y"}, "labelCol='y' does not exist"),
    "missing weight": ("LinearRegression", {"weightCol": "w"}, "weightCol='w' does not exist"),
    "missing offset": ("GeneralizedLinearRegression", {"offsetCol": "o"}, "offsetCol='o' does not exist"),
    "text label": ("LogisticRegression", {"labelCol": "name"}, "must be a number"),
    "numbers as features": ("LinearRegression", {"featuresCol": "label"}, "must be a vector"),
    "regParam": ("LogisticRegression", {"regParam": -1.0}, "regParam=-1.0 is not allowed; give >= 0"),
    "solver": ("LinearRegression", {"solver": "newtonish"}, "solver='newtonish' is not allowed"),
    "solver in another case": ("LinearRegression", {"solver": "Normal"}, "solver='Normal' is not allowed"),
    "loss in another case": ("LinearRegression", {"loss": "HUBER"}, "loss='HUBER' is not allowed"),
    "epsilon": ("LinearRegression", {"loss": "huber", "epsilon": 1.0}, "epsilon=1.0 is not allowed; give > 1"),
    "family": ("LogisticRegression", {"family": "poisson"}, "family='poisson' is not allowed"),
    "link": ("GeneralizedLinearRegression", {"family": "poisson", "link": "logit"}, "link='logit' does not go with"),
    "three thresholds": ("LogisticRegression", {"thresholds": [0.3, 0.3, 0.4]}, "thresholds has 3 entries"),
}


def estimator_of(modules, name, params):
    found = next(getattr(module, name) for module in modules if hasattr(module, name))
    return found(**params)


@pytest.fixture(scope="module")
def df(spark):
    data = [([0.5 * i, float(i % 3)], float(i % 2), "x") for i in range(10)]
    from pyspark.ml.functions import array_to_vector

    frame = spark.createDataFrame(data, "features array<double>, label double, name string").coalesce(1)
    return frame.withColumn("features", array_to_vector("features"))


@pytest.mark.smoke
@pytest.mark.parametrize("case", CASES)
def test_both_refuse_with_the_same_class(df, case):
    name, params, message = CASES[case]
    with pytest.raises(IllegalArgumentException):
        estimator_of([mllib_classification, mllib_regression], name, params).fit(df)
    with pytest.raises(IllegalArgumentException, match=message) as caught:
        estimator_of([classification, regression], name, params).fit(df)
    assert isinstance(caught.value, exceptions.SparkGDError)
    assert isinstance(caught.value, ValueError)


def test_a_model_refuses_a_dataframe_without_its_features_or_with_its_output(df):
    model = classification.LogisticRegression(regParam=0.1).fit(df)
    with pytest.raises(IllegalArgumentException, match="does not exist"):
        model.transform(df.drop("features"))
    with pytest.raises(IllegalArgumentException, match="predictionCol='prediction'"):
        model.transform(df.withColumnRenamed("name", "prediction"))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("LogisticRegression", {"family": "Binomial"}),
        ("LogisticRegression", {"family": "MULTINOMIAL"}),
        ("GeneralizedLinearRegression", {"family": "Binomial", "link": "Logit"}),
        ("GeneralizedLinearRegression", {"family": "Gaussian", "link": "IDENTITY"}),
    ],
)
def test_families_and_links_are_known_in_any_case(df, name, params):
    lower = {param: value.lower() for param, value in params.items()}
    for modules in ([mllib_classification, mllib_regression], [classification, regression]):
        given, expected = (
            estimator_of(modules, name, {**values, "regParam": 0.1}).fit(df) for values in (params, lower)
        )
        assert given.transform(df).collect() == expected.transform(df).collect()


def test_contradicting_thresholds_are_refused_where_mllib_does(df):
    both = {"threshold": 0.3, "thresholds": [0.5, 0.5]}
    for module in (mllib_classification, classification):
        with pytest.raises(ValueError, match="threshold"):
            module.LogisticRegression(**both)
        with pytest.raises(ValueError, match="threshold"):
            module.LogisticRegression().setParams(**both)
        estimator = module.LogisticRegression(threshold=0.3)
        with pytest.raises(IllegalArgumentException, match="threshold"):
            estimator.fit(df, {estimator.thresholds: [0.5, 0.5]})
        assert module.LogisticRegression(threshold=0.5, thresholds=[0.5, 0.5]).fit(df).getThreshold() == 0.5


def test_errors_survive_pickling():
    """Spark and test runners carry them between processes."""
    error = pickle.loads(pickle.dumps(InvalidDataError("column 'a' is missing")))
    assert (type(error), str(error)) == (InvalidDataError, "column 'a' is missing")
