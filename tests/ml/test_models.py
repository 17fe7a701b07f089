"""What a fitted model tells of itself: every param of its estimator, sizes, coefficients as MLlib holds them."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.ml.common import _java2py, _py2java
from pyspark.ml.linalg import DenseMatrix, SparseMatrix, Vectors
from pyspark.sql import functions as F

from sparkgd import classification, regression
from sparkgd.ml.matrices import matrix_of
from tests.support.frames import frame

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Y = (X[:, 0] + RNG.normal(size=60) > 0).astype(float)

ESTIMATORS = {
    classification.LogisticRegression: {"regParam": 0.1, "elasticNetParam": 0.5, "family": "binomial"},
    classification.LinearSVC: {"regParam": 0.1, "standardization": False},
    classification.GradientDescentClassifier: {"loss": "squaredHinge", "regParam": 0.2},
    regression.LinearRegression: {"loss": "huber", "epsilon": 1.5},
    regression.GeneralizedLinearRegression: {"family": "binomial", "maxIter": 7},
    regression.GradientDescentRegressor: {"loss": "quantile", "quantile": 0.3},
}


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, Y).cache()
    data.count()
    yield data
    data.unpersist()


@pytest.mark.smoke
@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_a_model_carries_every_param_of_its_estimator_also_when_loaded(df, tmp_path, kind):
    estimator = kind(**ESTIMATORS[kind], tol=1e-5, initialCoefficients=[0.1, 0.0, 0.0])
    model = estimator.fit(df)
    model.save(str(tmp_path / "model"))
    expected = {param.name: value for param, value in estimator.extractParamMap().items()}
    for each in (model, type(model).load(str(tmp_path / "model")), model.copy()):
        assert {param.name: value for param, value in each.extractParamMap().items()} == expected
        assert each.getTol() == 1e-5
        assert each.isSet("tol")
        assert not each.isSet("fitIntercept")
        assert not hasattr(each, "setTol")
        assert each.setPredictionCol("guess").getPredictionCol() == "guess"


@pytest.mark.parametrize("name", ["LogisticRegression", "LinearSVC", "LinearRegression", "GeneralizedLinearRegression"])
def test_repr_is_that_of_mllib(df, name):
    ours, theirs = classification, mllib_classification
    if not hasattr(ours, name):
        ours, theirs = regression, mllib_regression
    params = {"family": "poisson", "link": "log"} if name.startswith("Gen") else {}
    left, right = (getattr(module, name)(regParam=0.1, **params).fit(df) for module in (ours, theirs))
    assert repr(left) == repr(right).replace(right.uid, left.uid)


def test_repr_names_the_link_that_is_not_set(df):
    model = regression.GeneralizedLinearRegression(family="tweedie", variancePower=0.0).fit(df)
    assert repr(model) == f"GeneralizedLinearRegressionModel: uid={model.uid}, family=tweedie, link=1.0, numFeatures=3"
    model = regression.GeneralizedLinearRegression().fit(df)
    assert "family=gaussian, link=identity" in repr(model)


def test_a_matrix_is_sparse_where_mllib_makes_it_sparse(spark):
    context = spark.sparkContext
    for shape in ((1, 2), (1, 9), (3, 3), (3, 40), (40, 3), (7, 7)):
        for zeros in (0.0, 0.3, 0.5, 0.7, 0.9, 1.0):
            rows = RNG.normal(size=shape) * (RNG.random(shape) >= zeros)
            ours = matrix_of(rows)
            dense = DenseMatrix(*shape, rows.ravel(), isTransposed=True)
            theirs = _java2py(context, _py2java(context, dense).compressed())
            assert ours == theirs
            assert (type(ours), ours.isTransposed) == (type(theirs), theirs.isTransposed)


@pytest.mark.parametrize("family", ["binomial", "multinomial"])
def test_a_model_of_few_coefficients_is_sparse_scored_and_saved(spark, tmp_path, family):
    features = RNG.normal(size=(80, 30))
    label = (features[:, 4] > 0.2).astype(float)
    data = frame(spark, features, label)
    estimator = classification.LogisticRegression(regParam=0.2, elasticNetParam=1.0, family=family)
    model = estimator.fit(data)
    theirs = mllib_classification.LogisticRegression(regParam=0.2, elasticNetParam=1.0, family=family).fit(data)
    for each in (model, theirs):
        assert isinstance(each.coefficientMatrix, SparseMatrix)
        assert each.coefficientMatrix.isTransposed == (family == "binomial" or theirs.coefficientMatrix.isTransposed)
    # L1 leaves open how two classes share a weight: only the difference is unique.
    left, right = (np.diff(each.coefficientMatrix.toArray(), axis=0, prepend=0.0)[-1] for each in (model, theirs))
    np.testing.assert_allclose(left, right, atol=1e-4)
    model.save(str(tmp_path / "model"))
    loaded = classification.LogisticRegressionModel.load(str(tmp_path / "model"))
    assert loaded.coefficientMatrix == model.coefficientMatrix
    assert loaded.transform(data).collect() == model.transform(data).collect()


def test_classes_that_the_labels_metadata_name_count(df):
    metadata = {"ml_attr": {"type": "nominal", "vals": ["a", "b", "c"]}}
    named = df.withColumn("label", F.col("label").alias("label", metadata=metadata))
    ours, theirs = (
        module.LogisticRegression(regParam=0.1).fit(named) for module in (classification, mllib_classification)
    )
    assert ours.numClasses == theirs.numClasses == 3
    np.testing.assert_allclose(ours.coefficientMatrix.toArray(), theirs.coefficientMatrix.toArray(), atol=1e-4)


@pytest.mark.parametrize("execution", ["driver", "cluster"])
def test_without_features_the_intercept_is_all_there_is(spark, execution):
    rows = [(Vectors.dense([]), float(i % 3 == 0)) for i in range(9)]
    data = spark.createDataFrame(rows, ["features", "label"]).coalesce(2)
    for name in ("LinearRegression", "GeneralizedLinearRegression"):
        ours = getattr(regression, name)(execution=execution).fit(data)
        theirs = getattr(mllib_regression, name)().fit(data)
        assert (ours.numFeatures, theirs.numFeatures) == (0, 0)
        assert ours.intercept == pytest.approx(theirs.intercept)
        assert ours.transform(data).first().prediction == pytest.approx(1 / 3)
    binary = classification.LogisticRegression(execution=execution).fit(data)  # MLlib fails on the executors
    assert binary.transform(data).first().probability[1] == pytest.approx(1 / 3)
