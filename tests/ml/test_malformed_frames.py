"""Malformed DataFrames, by the hundred: a clear error, or a model that is no worse than one without features."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from tests.support.malformed import ESTIMATORS, assert_finite, inputs, only_clear_errors

TOLERANCE = 1e-6
"""Of objectives, relatively: that of the solvers."""

ordinary = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -7.0, 10.0])
extreme = st.sampled_from([1e150, -1e150, 1e-150, 1e300, 1e308, -1e308, 5e-324, 1e-300, 1e9, 1e16])
broken = st.sampled_from([None, math.nan, math.inf, -math.inf])


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Three of four draws are the usual ones."""
    return st.one_of(usual, usual, usual, rare)


@dataclass(frozen=True)
class Rows:
    """Rows as SQL writes them, what they are to be trained with, and as arrays where they are numbers alone."""

    sql: str
    kind: type
    params: dict[str, Any]
    values: tuple[tuple[Any, Any, Any, Any], ...]
    """Features, label, weight and offset of each row."""


@st.composite
def rows(draw):
    """Up to nine rows: all ordinary, with extreme numbers, or with broken ones and lengths that differ."""
    kind = draw(st.sampled_from(ESTIMATORS))
    numbers = draw(st.sampled_from([ordinary, mostly(ordinary, extreme), extreme, mostly(ordinary, broken)]))
    width = draw(st.integers(0, 4))
    lengths = draw(st.sampled_from([st.just(width)] * 5 + [st.integers(0, 3)]))
    labels = draw(
        st.sampled_from([st.sampled_from([0.0, 1.0])] * 4 + [st.sampled_from([0.0, 1.0, 2.0]), ordinary, numbers])
    )
    weights = draw(st.sampled_from([st.just(1.0)] * 3 + [st.sampled_from([0.0, 1.0, 1e9, 1e-9]), numbers]))
    offsets = draw(st.sampled_from([st.just(0.0)] * 3 + [numbers]))
    features = st.one_of([lengths.flatmap(lambda n: st.lists(numbers, min_size=n, max_size=n))] * 15 + [st.none()])
    found = draw(st.lists(st.tuples(features, labels, weights, offsets), max_size=9))
    params: dict[str, Any] = {"weightCol": draw(st.sampled_from(["weight", None])), "maxIter": 60}
    if kind in ESTIMATORS[4:] or draw(st.booleans()):
        params["regParam"] = draw(st.sampled_from([0.0, 0.1, 1e6, 1e-8]))
    params["fitIntercept"] = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        params["offsetCol"] = "offset"
    if kind.__name__ == "GeneralizedLinearRegression":
        params["family"] = draw(st.sampled_from(["gaussian", "binomial", "poisson", "gamma", "tweedie"]))
    if kind.__name__ == "GradientDescentRegressor":
        params["loss"] = draw(st.sampled_from(["squared", "huber", "quantile", "epsilonInsensitive", "poisson"]))
    if kind.__name__ == "GradientDescentClassifier":
        params["loss"] = draw(st.sampled_from(["logistic", "hinge", "squaredHinge", "modifiedHuber"]))
    return Rows(sql_of(found), kind, params, tuple(found))


def sql_of(found: list[tuple[Any, Any, Any, Any]]) -> str:
    """A query of the rows, which Spark answers without a job."""
    texts = [
        f"({array_text(features)}, {number_text(label)}, {number_text(weight)}, {number_text(offset)})"
        for features, label, weight, offset in found
    ]
    values = ", ".join(texts) or f"({array_text([])}, {number_text(0.0)}, {number_text(0.0)}, {number_text(0.0)})"
    return f"SELECT * FROM VALUES {values} AS t(features, label, weight, offset)"


def number_text(value: float | None) -> str:
    """A double in SQL."""
    return "CAST(NULL AS DOUBLE)" if value is None else f"CAST('{value!r}' AS DOUBLE)"


def array_text(values: list[float | None] | None) -> str:
    """An array of doubles in SQL."""
    inner = "NULL" if values is None else f"array({', '.join(map(number_text, values))})"
    return f"CAST({inner} AS ARRAY<DOUBLE>)"


def frame_of(spark: SparkSession, case: Rows) -> DataFrame:
    """The rows as a DataFrame."""
    df = spark.sql(case.sql)
    return df if case.values else df.limit(0)


def mean_loss(case: Rows, loss: Any, weights: Any, intercepts: Any) -> float:
    """Of the rows under coefficients of shape (K, p) and intercepts (K,)."""
    used = [(x, y, 1.0 if case.params["weightCol"] is None else w, o) for x, y, w, o in case.values]
    features = np.array([x for x, _, w, _ in used if w > 0.0])
    label, weight, offset = (np.array([row[k] for row in used if row[2] > 0.0]) for k in (1, 2, 3))
    raw = features @ weights.T + intercepts
    if "offsetCol" in case.params:
        raw = raw + offset[:, None]
    with np.errstate(all="ignore"):
        values = loss.value_and_derivative(label, raw if loss.num_outputs > 1 else raw[:, 0])[0]
        return float(np.average(values, weights=weight / weight.max()))


def fitted(spark: SparkSession, case: Rows) -> Any:
    """The model."""
    return case.kind(**case.params).fit(frame_of(spark, case))


def check(case: Rows, model: Any) -> None:
    """A model is finite, and its objective, which the penalty adds to, not above that of the zero model."""
    assert_finite(model)
    matrix = hasattr(model, "coefficientMatrix")
    weights = model.coefficientMatrix.toArray() if matrix else model.coefficients.toArray()[None, :]
    intercepts = model.interceptVector.toArray() if matrix else np.array([model.intercept])
    if np.isinf(intercepts).any():
        return  # of a constant label: no loss at all
    loss = case.kind(**case.params)._loss(max(len(intercepts), 2))
    reached, zero = (mean_loss(case, loss, factor * weights, factor * intercepts) for factor in (1.0, 0.0))
    assert reached <= zero + TOLERANCE * (abs(zero) + 1e-300), (reached, zero, model.summary.status)


@inputs(400)
@given(case=rows())
def test_rows_are_refused_clearly_or_make_a_model_that_is_no_worse_than_none(spark, case):
    with only_clear_errors():
        check(case, fitted(spark, case))


def learned(spark: SparkSession, case: Rows) -> Any:
    """The model of two batches, which may be of other rows, columns and labels each."""
    estimator = case.kind(**case.params)
    first, second = (
        frame_of(spark, replace(case, sql=sql_of(list(part)), values=part)) for part in (case.values[::2], case.values)
    )
    return estimator.partialFit(second, estimator.partialFit(first))


@inputs(150)
@given(case=rows())
def test_batches_are_refused_clearly_or_make_a_finite_model_with_a_finite_memory(spark, case):
    with only_clear_errors():
        model = learned(spark, case)
        assert_finite(model)
        assert np.isfinite(model.priorPrecision).all()
