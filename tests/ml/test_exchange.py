"""Models out to ``pyspark.ml`` and back, and as SQL: they score alike."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.ml.feature import StandardScaler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from sparkgd import classification, regression
from sparkgd.exceptions import IncompatibleError, InvalidParamError
from sparkgd.mllib import from_mllib, to_mllib
from tests.support.frames import frame

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 3))
Y = (X[:, 0] + RNG.normal(size=90) > 0).astype(float)
COUNT = RNG.poisson(np.exp(0.3 * X[:, 1]))
KIND = np.argmax(X + RNG.gumbel(size=X.shape), axis=1).astype(float)

CASES = {
    "binomial": ("LogisticRegression", "label", {"regParam": 0.01, "threshold": 0.4}),
    "by thresholds": ("LogisticRegression", "label", {"regParam": 0.01, "thresholds": [0.2, 0.6]}),
    "bounded": ("LogisticRegression", "label", {"lowerBoundsOnCoefficients": [[-0.1, -0.1, -0.1]]}),
    "multinomial": ("LogisticRegression", "kind", {"regParam": 0.01}),
    "multinomial by thresholds": ("LogisticRegression", "kind", {"regParam": 0.01, "thresholds": [0.2, 0.5, 0.3]}),
    "svc": ("LinearSVC", "label", {"regParam": 0.1, "threshold": 0.2}),
    "linear": ("LinearRegression", "count", {"regParam": 0.1, "solver": "newton"}),
    "huber": ("LinearRegression", "count", {"loss": "huber", "epsilon": 1.6}),
    "poisson": ("GeneralizedLinearRegression", "count", {"family": "poisson", "linkPredictionCol": "eta"}),
    "sqrt": ("GeneralizedLinearRegression", "count", {"family": "poisson", "link": "sqrt"}),
    "cloglog": ("GeneralizedLinearRegression", "label", {"family": "binomial", "link": "cloglog"}),
    "tweedie": ("GeneralizedLinearRegression", "count", {"family": "tweedie", "variancePower": 1.5, "linkPower": 0.3}),
}
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, Y, count=COUNT, kind=KIND, a=X[:, 0], b=X[:, 1], c=X[:, 2]).cache()
    data.count()
    yield data
    data.unpersist()


def module_of(name, modules):
    return next(module for module in modules if hasattr(module, name))


def fitted(df, case, **params):
    name, label, given = CASES[case]
    return getattr(module_of(name, [classification, regression]), name)(labelCol=label, **given, **params).fit(df)


@pytest.mark.smoke
@each_case
def test_a_model_goes_out_and_comes_back(df, tmp_path, case):
    model = fitted(df, case)
    genuine = model.toMLlib()
    kind = getattr(module_of(type(model).__name__, [mllib_classification, mllib_regression]), type(model).__name__)
    assert type(genuine) is kind
    genuine.write().save(str(tmp_path / "model"))
    for each in (genuine, kind.load(str(tmp_path / "model"))):
        assert each.uid == model.uid
        assert each.transform(df).collect() == model.transform(df).collect()
        assert each.getLabelCol() == model.getLabelCol()
        assert each.getMaxIter() == model.getMaxIter()
        back = type(model).fromMLlib(each)
        assert back.uid == model.uid
        assert back.transform(df).collect() == model.transform(df).collect()
        given = {param.name: value for param, value in model._paramMap.items() if param.name != "solver"}
        assert {param.name: value for param, value in back._paramMap.items()} == given
    assert model._to_java().uid() == model.uid


@each_case
def test_sql_scores_as_transform_does(df, case):
    model = fitted(df, case)
    features = ["a", "b", "c"]
    scored = model.transform(df).withColumn("sql", F.expr(model.toSQL(features=features))).toPandas()
    np.testing.assert_allclose(scored["sql"], scored["prediction"], rtol=1e-12)
    if case.startswith(("binomial", "multinomial")):
        by_hand = F.expr(model.toSQL("probability", features))
        own = vector_to_array("probability")
        scored = model.transform(df).select(by_hand.alias("sql"), own.alias("own")).toPandas()
        own = np.stack(scored["own"])
        np.testing.assert_allclose(np.stack(scored["sql"]), own if case != "binomial" else own[:, 1], rtol=1e-12)


def test_sql_knows_several_columns_and_an_offset_and_refuses_what_it_cannot_say(df):
    model = regression.LinearRegression(featuresCols=["a", "b", "c"], labelCol="count", offsetCol="label").fit(df)
    scored = model.transform(df).withColumn("sql", F.expr(model.toSQL())).toPandas()
    np.testing.assert_allclose(scored["sql"], scored["prediction"], rtol=1e-12)
    with pytest.raises(InvalidParamError, match="output='probability' is not allowed; give one of 'prediction'"):
        model.toSQL("probability")
    with pytest.raises(InvalidParamError, match="features has 2 names, but the model has 3 features"):
        model.toSQL(features=["a", "b"])
    with pytest.raises(InvalidParamError, match="give features="):
        fitted(df, "linear").toSQL()
    probit = {"family": "binomial", "link": "probit"}
    with pytest.raises(IncompatibleError, match="probit"):
        regression.GeneralizedLinearRegression(**probit).fit(df).toSQL(features=["a", "b", "c"])


def test_a_pipeline_goes_out_and_comes_back(df, tmp_path):
    stages = [
        StandardScaler(inputCol="features", outputCol="scaled"),
        classification.LogisticRegression(featuresCol="scaled", regParam=0.1),
        Pipeline(stages=[regression.LinearRegression(featuresCols=["a", "c"], labelCol="count", predictionCol="n")]),
    ]
    model = Pipeline(stages=stages).fit(df)
    genuine = to_mllib(model)
    genuine.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    expected = model.transform(df).select("probability", "n").collect()
    for each in (genuine, loaded, from_mllib(loaded)):
        assert each.transform(df).select("probability", "n").collect() == expected
    assert isinstance(genuine.stages[1], mllib_classification.LogisticRegressionModel)
    assert isinstance(from_mllib(loaded).stages[1], classification.LogisticRegressionModel)
    assert genuine._to_java().stages()[1].uid() == model.stages[1].uid
    assert PipelineModel(model.stages[:2])._to_java().transform(df._jdf).count() == df.count()


def test_several_columns_become_an_assembler_and_a_model(df):
    model = classification.LinearSVC(featuresCols=["b", "a"], regParam=0.1).fit(df)
    with pytest.raises(IncompatibleError, match=r"sparkgd.mllib.to_mllib\(model\)"):
        model.toMLlib()
    scored = to_mllib(model).transform(df).select("prediction", "rawPrediction")
    assert scored.collect() == model.transform(df).select("prediction", "rawPrediction").collect()


def test_what_mllib_does_not_have_is_refused(df):
    model = classification.LogisticRegression(offsetCol="a", regParam=0.1).fit(df)
    with pytest.raises(IncompatibleError, match=r"offsetCol='a'.*adds no offset"):
        model.toMLlib()
    genuine = fitted(df, "linear").toMLlib()
    with pytest.raises(IncompatibleError, match="LinearRegressionModel is not the LogisticRegressionModel of pyspark"):
        classification.LogisticRegressionModel.fromMLlib(genuine)
    own = classification.GradientDescentClassifier(regParam=0.1).fit(df)
    assert to_mllib(own) is own
