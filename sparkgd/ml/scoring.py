"""Scoring on the JVM: fitted models hand ``transform`` to the genuine ``pyspark.ml`` model, so it is as fast.

With Spark Connect no such model can be made of coefficients, but one can be fitted: a logistic regression without an
iteration, whose bounds are the coefficients. It gives the margins of every model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.functions import vector_to_array
from pyspark.ml.linalg import DenseMatrix, DenseVector, Matrix, Vector, Vectors
from pyspark.ml.param import Params
from pyspark.ml.regression import LinearRegressionModel
from pyspark.ml.wrapper import JavaModel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import DoubleType
from pyspark.sql.utils import is_remote

from sparkgd.exceptions import SparkGDError
from sparkgd.losses import Loss
from sparkgd.losses.log_link import LogLinkLoss
from sparkgd.ml.columns import is_plain, temporary_name
from sparkgd.ml.features import is_valid, vector_column

Array: TypeAlias = npt.NDArray[np.float64]
ModelT = TypeVar("ModelT", bound=JavaModel)


def has_jvm() -> bool:
    """Whether models of ``pyspark.ml`` can be made of coefficients; with Spark Connect they cannot."""
    return not is_remote()


def mllib_model(kind: type[ModelT], *arguments: Any) -> ModelT | None:
    """The ``pyspark.ml`` model whose JVM object is made of these arguments; None where there is no JVM in reach."""
    if not has_jvm():
        return None
    name = ".".join(f"{kind.__module__}.{kind.__name__}".split(".")[2:])
    return kind(java_object(name, *arguments))


def java_object(class_name: str, *arguments: Any) -> Any:
    """A JVM object of ``org.apache.spark.ml``; vectors and matrices are converted."""
    from pyspark import SparkContext
    from pyspark.ml.common import _py2java

    context = SparkContext.getOrCreate()
    constructor: Any = context._jvm
    for part in f"org.apache.spark.ml.{class_name}".split("."):
        constructor = getattr(constructor, part)
    converted = [_py2java(context, a) if isinstance(a, Vector | Matrix) else a for a in arguments]
    return constructor(*converted)


def logistic_model(
    uid: str, coefficients: Matrix, intercepts: DenseVector, classes: int, is_multinomial: bool
) -> LogisticRegressionModel:
    """The ``pyspark.ml`` model of these coefficients (K, p) and intercepts (K,), wherever Spark is."""
    made = mllib_model(LogisticRegressionModel, uid, coefficients, intercepts, classes, is_multinomial)
    return _fitted(uid, coefficients, intercepts, classes, is_multinomial) if made is None else made


def _fitted(
    uid: str, coefficients: Matrix, intercepts: DenseVector, classes: int, is_multinomial: bool
) -> LogisticRegressionModel:
    """The same, fitted to a few rows without an iteration, within bounds that leave no choice."""
    weights = coefficients.toArray()
    outputs, width = weights.shape
    matrix = DenseMatrix(outputs, width, np.ravel(weights), isTransposed=True)
    estimator = LogisticRegression(
        maxIter=0, regParam=0.0, standardization=False, family="multinomial" if is_multinomial else "binomial",
        lowerBoundsOnCoefficients=matrix, upperBoundsOnCoefficients=matrix,
        lowerBoundsOnIntercepts=intercepts, upperBoundsOnIntercepts=intercepts,
    )  # fmt: skip
    estimator._resetUid(uid)
    model: LogisticRegressionModel = estimator.fit(_unit_rows(width, classes))
    found, found_intercepts = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    if not (np.array_equal(found, weights) and np.array_equal(found_intercepts, intercepts.toArray())):
        raise SparkGDError("Spark gave a model of other coefficients than it was asked for; report this, with them")
    return model


def _unit_rows(width: int, classes: int) -> DataFrame:
    """Rows of every class in which each feature has the deviation 1, so that MLlib's scaling changes no bit.

    Of n rows one has -a and one a in all columns, the others 0: the variance is 2 a^2 / (n - 1). With n - 1 twice a
    power of 4 that is 1 for a power of 2.
    """
    size = 1
    while 2 * size * size + 1 < classes:
        size *= 2
    vectors: list[Vector] = [Vectors.dense(np.full(width, float(a))) for a in (-size, size)]
    vectors += [Vectors.sparse(width, [], [])] * (2 * size * size - 1)
    rows = [(float(number % classes), vector) for number, vector in enumerate(vectors)]
    return SparkSession.active().createDataFrame(rows, ["label", "features"])


def told(model: JavaModel) -> Any:
    """A model whose JVM object knows the params that were set here; Spark Connect sends these along with each call."""
    if has_jvm():
        model._transfer_params_to_java()
    return model


def configured(model: JavaModel, instance: Params, vector: str, names: Iterable[str]) -> JavaModel:
    """MLlib's ``model``, reading the column ``vector``, with the params among ``names`` that ``instance`` has."""
    model.set(model.getParam("featuresCol"), vector)
    for name in names:
        if instance.hasParam(name) and instance.isDefined(name):
            model.set(model.getParam(name), instance.getOrDefault(name))
    return model


def with_vector(
    df: DataFrame,
    features: str | tuple[str, ...],
    score: Callable[[DataFrame, str], DataFrame],
    invalid: str,
    width: int,
) -> DataFrame:
    """Apply ``score(df, vector_column)``, with a temporary column where the features are no vector of a plain name.

    Rows with ``invalid`` features are left out (``skip``), or scored as so many (``width``) NaN (``keep``).
    """
    from pyspark.ml.linalg import VectorUDT

    if invalid == "skip":
        df = df.where(is_valid(df, features))
    plain = invalid != "keep" and isinstance(features, str) and is_plain(features) and features in df.columns
    if plain and isinstance(df.schema[str(features)].dataType, VectorUDT):
        return score(df, str(features))
    temporary = temporary_name("features")
    return score(df.withColumn(temporary, vector_column(df, features, invalid, width)), temporary).drop(temporary)


def with_margin(
    df: DataFrame, vector: str, coefficients: DenseVector, intercept: float, offset: str | None, output: str
) -> DataFrame:
    """Add the raw prediction ``x . coefficients + intercept + offset`` as column ``output``, a plain name."""
    uid = f"margin_{uuid4().hex[:8]}"
    linear = mllib_model(LinearRegressionModel, uid, coefficients, intercept, 1.0)
    if linear is None:
        raw, matrix = temporary_name("raw"), DenseMatrix(1, len(coefficients), coefficients.toArray(), True)
        logistic = logistic_model(uid, matrix, Vectors.dense([intercept]), 2, False)
        logistic.setFeaturesCol(vector).setRawPredictionCol(raw).setProbabilityCol("").setPredictionCol("")
        scored = logistic.transform(df).withColumn(output, vector_to_array(F.col(raw))[1]).drop(raw)
    else:
        scored = linear.setFeaturesCol(vector).setPredictionCol(output).transform(df)
    return scored if offset is None else scored.withColumn(output, F.col(output) + quoted(offset))


def inverse_link(loss: Loss, raw_prediction: Column) -> Column:
    """The prediction that a raw prediction stands for, as a column: native where Spark has the function."""
    if type(loss).inverse_link is Loss.inverse_link:
        return raw_prediction
    if isinstance(loss, LogLinkLoss):
        return F.exp(raw_prediction)
    return computed(loss.inverse_link, raw_prediction)


def computed(function: Callable[[Array], Array], column: Column) -> Column:
    """A column of what Python computes of a batch of another's numbers."""

    def compute(batch: pd.Series) -> pd.Series:
        return pd.Series(np.asarray(function(batch.to_numpy()), dtype=np.float64))

    make_udf: Any = pandas_udf  # its overloads do not cover series of float64
    made: Column = make_udf(compute, DoubleType())(column)
    return made


def quoted(name: str) -> Column:
    """A column by its literal name."""
    return F.col(f"`{name.replace('`', '``')}`")
