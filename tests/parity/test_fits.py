"""sparkgd and MLlib fit the same model to the same rows; where not, sparkgd's objective is the lower one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import pytest
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd import classification, regression
from tests.parity.cases import CASES, Case, Columns, columns_of, frame_of
from tests.parity.objectives import objective_of
from tests.support.objectives import coefficients_of

pytestmark = pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")

RTOL = 1e-4
"""Of coefficients, relative to the largest, and of predictions."""

BETTER = 1e-8
"""By how much of its value MLlib's objective may be lower than sparkgd's: rounding."""

Data: TypeAlias = Callable[[str], tuple[DataFrame, Columns]]


@pytest.fixture(scope="module")
def data(spark: SparkSession) -> Iterator[Data]:
    """Data sets by name, made when they are first asked for."""
    made: dict[str, tuple[DataFrame, Columns]] = {}

    def named(name: str) -> tuple[DataFrame, Columns]:
        if name not in made:
            columns = columns_of(name)
            made[name] = frame_of(spark, columns).cache(), columns
        return made[name]

    yield named
    for df, _ in made.values():
        df.unpersist()


def fitted(df, case: Case, modules):
    kind = next(getattr(module, case.estimator) for module in modules if hasattr(module, case.estimator))
    exact = {"tol": 1e-9, "maxIter": 200}
    if kind is mllib_classification.LinearSVC:
        # After 200 iterations, each of many jobs, it is above the optimum too.
        exact["maxIter"] = 20
    return kind(featuresCol=case.storage, labelCol=case.label, **exact, **case.params).fit(df)


def coefficients(model) -> np.ndarray:
    """All coefficients, one row an output, and intercepts."""
    return np.column_stack(coefficients_of(model))


def predictions(df, ours, theirs) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of both, by one job."""
    column = "probability" if ours.hasParam("probabilityCol") else "prediction"
    scored = ours.transform(df).select(*df.columns, F.col(column).alias("own"))
    pairs = theirs.transform(scored).select("own", column).toPandas()
    return tuple(np.array([np.asarray(value) for value in pairs[name]]) for name in ("own", column))


def within_bounds(case: Case, model) -> bool:
    """Whether it keeps to the bounds that it was given: no lower objective is worth anything beyond them."""
    weights, intercepts = coefficients_of(model)
    for suffix, values in {"OnCoefficients": weights, "OnIntercepts": intercepts}.items():
        low, high = (case.params.get(f"{side}Bounds{suffix}") for side in ("lower", "upper"))
        below = low is not None and np.any(values < low.toArray())
        if below or (high is not None and np.any(values > high.toArray())):
            return False
    return True


def test_there_are_enough_cases():
    assert len(CASES) >= 300
    assert len({str(case) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_same_model_and_no_higher_objective(data: Data, case: Case) -> None:
    df, columns = data(case.data)
    ours = fitted(df, case, [classification, regression])
    theirs = fitted(df, case, [mllib_classification, mllib_regression])
    left, right = coefficients(ours), coefficients(theirs)
    assert left.shape == right.shape
    assert within_bounds(case, ours)
    objective, scale = objective_of(case, columns), np.abs(right).max()
    is_same = np.allclose(left, right, rtol=RTOL, atol=RTOL * scale)
    if objective is not None:
        lower, higher = objective(ours), objective(theirs)
        assert lower <= higher * (1.0 + BETTER), f"{lower} > {higher}\n{left}\n{right}"
        # The same minimum has other coefficients where classes, or a constant column and the intercept, share them.
        is_same |= lower >= higher * (1.0 - BETTER)
    assert is_same or objective is not None, f"{left}\n{right}"
    if is_same:
        own, other = predictions(df, ours, theirs)
        np.testing.assert_allclose(own, other, rtol=10 * RTOL, atol=10 * RTOL * np.abs(other).max())
