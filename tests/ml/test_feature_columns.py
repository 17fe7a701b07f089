"""Columns of features: found by Spark's rules, of every type beside each other, nulls counted by the user's names."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression, OneVsRest
from sparkgd.exceptions import InvalidDataError
from sparkgd.mllib import to_mllib
from sparkgd.regression import LinearRegression
from tests.support.frames import frame

RNG = np.random.default_rng(2)
X = RNG.normal(size=(80, 2))
Y = (X[:, 0] + RNG.normal(size=80) > 0).astype(float)


@pytest.fixture(scope="module")
def df(spark):
    more = {"a": RNG.normal(size=80), "b": RNG.normal(size=80), "kind": np.arange(80) % 3.0}
    data = frame(spark, X, Y, **more)
    data = data.withColumns({"flag": F.col("a") > 0, "array": vector_to_array("features")})
    data = data.withColumn("inner", F.struct("a", "features", F.struct("b", "label").alias("deep"))).cache()
    data.count()
    yield data
    data.unpersist()


CASES = {
    "in another case": (["A", "FEATURES"], ["a", "features"]),
    "numbers and a vector": (["a", "features", "flag"], ["a", "features", "flag"]),
    "nested": (["inner.features", "inner.deep.b"], ["features", "b"]),
    "nested in another case": (["Inner.Deep.B"], ["b"]),
    "an array": (["array", "b"], ["features", "b"]),
}


@pytest.mark.parametrize("case", CASES)
def test_several_columns_are_what_an_assembler_makes_of_them(df, case):
    ours, assembled = CASES[case]
    data = VectorAssembler(inputCols=assembled, outputCol="v").transform(df)
    expected = LogisticRegression(featuresCol="v", regParam=0.1).fit(data)
    model = LogisticRegression(featuresCols=ours, regParam=0.1).fit(df)
    np.testing.assert_allclose(model.coefficients, expected.coefficients, rtol=1e-10)
    left, right = (each.transform(data).select("probability").toPandas() for each in (model, expected))
    np.testing.assert_allclose(np.stack(left["probability"]), np.stack(right["probability"]), rtol=1e-10)
    assert model.summary.areaUnderROC == pytest.approx(expected.summary.areaUnderROC)


def test_one_column_is_found_by_the_same_rules(df):
    expected = LogisticRegression(regParam=0.1).fit(df)
    nested = df.select("inner", F.col("label").alias("Label"))
    for data, params in (
        (df, {"featuresCol": "Features", "labelCol": "LABEL"}),
        (nested, {"featuresCol": "inner.features", "labelCol": "inner.deep.label"}),
    ):
        model = LogisticRegression(regParam=0.1, **params).fit(data)
        np.testing.assert_array_equal(model.coefficients, expected.coefficients)
        assert model.transform(data).select("prediction").collect() == (
            expected.transform(df).select("prediction").collect()
        )


def test_case_matters_where_the_session_says_so(spark, df):
    spark.conf.set("spark.sql.caseSensitive", "true")
    try:
        with pytest.raises(InvalidDataError, match="featuresCol='Features' does not exist"):
            LogisticRegression(featuresCol="Features").fit(df)
    finally:
        spark.conf.unset("spark.sql.caseSensitive")


def test_a_literal_dot_comes_before_a_field(df):
    both = df.withColumn("inner.a", F.lit(2.0) * F.col("a"))
    model = LinearRegression(featuresCols=["inner.a"]).fit(both)
    assert model.coefficients[0] == pytest.approx(LinearRegression(featuresCols=["a"]).fit(df).coefficients[0] / 2)


def some_null(df, column):
    return df.withColumn(column, F.when(F.col("kind") != 0, F.col(column)))


NULLS = {
    "a vector beside numbers": (["a", "features"], "features", "column 'features': 27 rows .* null; impute"),
    "an array beside numbers": (["array", "a"], "array", "column 'array': 27 rows .* null; impute"),
    "a number beside numbers": (["a", "b"], "b", "27 rows .* in 'b'; impute"),
    "a number beside a vector": (["features", "b"], "b", "27 rows .* in feature 2; impute"),
}


@pytest.mark.parametrize("case", NULLS)
def test_a_null_is_reported_by_its_column_or_skipped_or_kept(df, case):
    columns, spoiled, message = NULLS[case]
    data = some_null(df, spoiled)
    with pytest.raises(InvalidDataError, match=message):
        LogisticRegression(featuresCols=columns).fit(data)
    with pytest.raises(InvalidDataError, match=message):
        LogisticRegression(featuresCols=columns, handleInvalid="keep").fit(data)
    skipping = LogisticRegression(featuresCols=columns, regParam=0.1, handleInvalid="skip").fit(data)
    expected = LogisticRegression(featuresCols=columns, regParam=0.1).fit(df.where("kind != 0"))
    np.testing.assert_allclose(skipping.coefficients, expected.coefficients, rtol=1e-10)
    assert skipping.transform(data).count() == 53
    assert skipping.summary.accuracy == pytest.approx(expected.summary.accuracy)
    kept = skipping.copy().setHandleInvalid("keep").transform(data).toPandas()
    invalid = np.isnan(np.stack(kept["probability"])).any(axis=1)
    np.testing.assert_array_equal(invalid, kept["kind"] == 0)
    if spoiled == "b":
        with pytest.raises(Exception, match=r"column 'b' is null in a row.*set handleInvalid"):
            expected.transform(data).collect()


def test_nan_and_null_vectors_are_skipped_and_kept(df):
    null = some_null(df, "features")
    model = LogisticRegression(regParam=0.1, handleInvalid="skip").fit(null)
    assert model.transform(null).count() == 53
    kept = model.copy().setHandleInvalid("keep").transform(null)
    assert kept.count() == 80
    assert np.isnan(np.stack(kept.where("kind = 0").toPandas()["probability"])).all()
    nan = df.withColumn("a", F.when(F.col("kind") != 0, F.col("a")).otherwise(F.lit(float("nan"))))
    model = LogisticRegression(featuresCols=["a"], handleInvalid="skip").fit(nan)
    assert model.transform(nan).count() == 53
    genuine = to_mllib(model)
    assert genuine.transform(nan).count() == 53
    assert genuine.stages[0].getHandleInvalid() == "skip"


@pytest.mark.parametrize("columns", [["a", "b"], ["features", "a"]])
def test_one_vs_rest_reads_several_columns(df, tmp_path, columns):
    estimator = OneVsRest(classifier=LogisticRegression(featuresCols=columns, regParam=0.1), labelCol="kind")
    estimator.save(str(tmp_path / "estimator"))
    loaded = OneVsRest.load(str(tmp_path / "estimator"))
    assert loaded.getClassifier().getFeaturesCols() == columns
    model = loaded.fit(df.drop("inner"))
    assembled = VectorAssembler(inputCols=columns, outputCol="v").transform(df)
    expected = OneVsRest(classifier=LogisticRegression(regParam=0.1), labelCol="kind", featuresCol="v").fit(assembled)
    scored = model.transform(df).select("prediction").collect()
    assert scored == expected.transform(assembled).select("prediction").collect()
    model.save(str(tmp_path / "model"))
    again = type(model).load(str(tmp_path / "model"))
    assert again.transform(df).select("prediction").collect() == scored


def test_what_a_user_imports_beside_ours_is_there():
    from pyspark.ml import classification as mllib_classification
    from pyspark.ml import regression as mllib_regression

    from sparkgd import classification, regression

    for ours, theirs in ((classification, mllib_classification), (regression, mllib_regression)):
        for name in theirs.__all__:
            assert hasattr(ours, name), name
