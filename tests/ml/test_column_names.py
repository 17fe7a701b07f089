"""Columns may have any names: dots, backticks and spaces are part of them, in every estimator and every role."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import functions as F

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.exceptions import InvalidDataError
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression

RNG = np.random.default_rng(6)
X = RNG.normal(size=(60, 2))
COUNTS = RNG.poisson(np.exp(0.4 * X[:, 0])).astype(float) + 1.0

INPUTS = {
    "featuresCol": ("features", "the.feature vector"),
    "labelCol": ("label", "la`bel"),
    "weightCol": ("weight", "w.e.i.g.h.t"),
    "offsetCol": ("offset", "off `set`.1"),
}
"""Plain and awkward names."""

OUTPUTS = {
    "rawPredictionCol": ("raw", "raw.prediction"),
    "probabilityCol": ("p", "p`.`"),
    "linkPredictionCol": ("link", "`link`.*"),
    "predictionCol": ("guess", ".my prediction"),
}

MODELS = {
    "LogisticRegression": LogisticRegression(regParam=0.1),
    "multinomial": LogisticRegression(regParam=0.1, family="multinomial"),
    "LinearSVC": LinearSVC(regParam=0.1),
    "GradientDescentClassifier": GradientDescentClassifier(regParam=0.1, loss="squaredHinge"),
    "multinomial loss": GradientDescentClassifier(regParam=0.1, loss="multinomial"),
    "LinearRegression": LinearRegression(regParam=0.1),
    "GeneralizedLinearRegression": GeneralizedLinearRegression(family="poisson"),
    "GradientDescentRegressor": GradientDescentRegressor(loss="poisson", regParam=0.1),
    "own link": GradientDescentRegressor(loss="gamma", regParam=0.1),
}
CASES = [
    (name, with_offset)
    for name in MODELS
    for with_offset in (False, True)
    if "multinomial" not in name or not with_offset
]


@pytest.fixture(scope="module")
def df(spark):
    rows = [
        (Vectors.dense(x), count, 1.0 + (count > 1.0), 0.1 * float(x[1]))
        for x, count in zip(X, COUNTS.tolist(), strict=True)
    ]
    return spark.createDataFrame(rows, ["features", "label", "weight", "offset"]).coalesce(1)


def labelled(df, estimator):
    """The DataFrame with two classes where the estimator is a classifier."""
    return (
        df.withColumn("label", (F.col("label") > 1.0).cast("double")) if estimator.hasParam("rawPredictionCol") else df
    )


def names(estimator, which: int, with_offset: bool) -> dict[str, str]:
    """The names of all columns of an estimator."""
    chosen = {param: pair[which] for param, pair in (INPUTS | OUTPUTS).items() if estimator.hasParam(param)}
    if not with_offset:
        del chosen["offsetCol"]
    return chosen


def with_params(estimator, params: dict[str, object]):
    return estimator.copy({estimator.getParam(name): value for name, value in params.items()})


@pytest.mark.parametrize(("name", "with_offset"), CASES)
def test_every_column_may_have_an_awkward_name(df, name, with_offset):
    estimator = MODELS[name]
    df = labelled(df, estimator)
    awkward_df = df.withColumnsRenamed(dict(INPUTS.values()))
    plain = with_params(estimator, names(estimator, 0, with_offset)).fit(df)
    awkward = with_params(estimator, names(estimator, 1, with_offset)).fit(awkward_df)
    expected, scored = plain.transform(df), awkward.transform(awkward_df)
    added = [pair for param, pair in OUTPUTS.items() if estimator.hasParam(param)]
    assert expected.columns == [*df.columns, *(pair[0] for pair in added)]
    assert scored.columns == [*awkward_df.columns, *(pair[1] for pair in added)]
    for mine, other in zip(scored.schema, expected.schema, strict=True):
        assert (mine.dataType, mine.nullable, mine.metadata) == (other.dataType, other.nullable, other.metadata)
    assert [tuple(row) for row in scored.collect()] == [tuple(row) for row in expected.collect()]


@pytest.mark.smoke
@pytest.mark.parametrize("offset", [None, "o.f.f"])
def test_several_feature_columns_may_have_awkward_names(df, offset):
    numbers = df.selectExpr("label", "weight AS `w.1`", "offset AS `off set`", "0.1D AS `o.f.f`")
    estimator = LinearRegression(featuresCols=["w.1", "off set"], predictionCol="a.b")
    model = (estimator if offset is None else estimator.setOffsetCol(offset)).fit(numbers)
    row = model.transform(numbers).first()
    assert row["a.b"] == pytest.approx(
        model.predict(Vectors.dense(row["w.1"], row["off set"])) + (0.1 if offset else 0.0)
    )


@pytest.mark.parametrize(("name", "with_offset"), CASES)
def test_a_column_that_exists_is_not_replaced(df, name, with_offset):
    df, estimator = labelled(df, MODELS[name]), MODELS[name]
    params = {"maxIter": 0, "predictionCol": "weight"} | ({"offsetCol": "offset"} if with_offset else {})
    model = with_params(estimator, params).fit(df)
    with pytest.raises(InvalidDataError, match=r"predictionCol='weight': the DataFrame has a column of this name"):
        model.transform(df)
    with pytest.raises(InvalidDataError, match=r"predictionCol='w\.t': the DataFrame has a column of this name"):
        model.setPredictionCol("w.t").transform(df.withColumnRenamed("weight", "w.t"))


def test_two_outputs_of_one_name_are_refused(df):
    model = LogisticRegression(maxIter=0, probabilityCol="p.q", predictionCol="p.q").fit(
        labelled(df, LogisticRegression())
    )
    with pytest.raises(InvalidDataError, match=r"predictionCol='p.q': probabilityCol has this name already"):
        model.transform(df)


def test_a_model_keeps_its_names(df, tmp_path):
    model = LinearRegression(predictionCol="a.b", maxIter=1).fit(df)
    model.transform(df)
    assert model.getPredictionCol() == "a.b"
    model.save(str(tmp_path / "model"))
    assert type(model).load(str(tmp_path / "model")).transform(df).columns[-1] == "a.b"
