"""What property-based tests of malformed input share: junk, and what counts as a clear answer to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import pytest
from pyspark.errors import PySparkException
from pyspark.ml.base import Model
from pyspark.ml.linalg import Vectors

from sparkgd.classification import GradientDescentClassifier, LinearSVC, LogisticRegression
from sparkgd.exceptions import SparkGDError
from sparkgd.regression import GeneralizedLinearRegression, GradientDescentRegressor, LinearRegression

pytest.importorskip("hypothesis", reason="malformed input is made by hypothesis, of the dev extra")

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ESTIMATORS = (
    LogisticRegression, LinearSVC, GradientDescentClassifier, LinearRegression, GeneralizedLinearRegression,
    GradientDescentRegressor,
)  # fmt: skip

TIME_LIMIT = timedelta(minutes=2)
"""Of one example: none may hang."""


def inputs(count: int) -> settings:
    """Settings of a test that so many inputs are made for, the same in every run."""
    checks = list(HealthCheck)
    return settings(
        max_examples=count, derandomize=True, database=None, deadline=TIME_LIMIT, suppress_health_check=checks
    )


PYSPARKS_OWN = ("Invalid param value given for param", "has no param")
"""What type errors of params say, by ``pyspark.ml`` or in its manner."""


def is_clear(error: Exception) -> bool:
    """Whether an error is one of sparkgd's, or of pyspark's own where pyspark checks."""
    if isinstance(error, TypeError) and not isinstance(error, SparkGDError):
        return any(text in str(error) for text in PYSPARKS_OWN)
    return isinstance(error, SparkGDError | PySparkException)


@contextmanager
def only_clear_errors() -> Iterator[None]:
    """Let clear errors pass, and no NumPy warning of a number that went wrong unseen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            yield
        except Exception as error:
            if not is_clear(error):
                raise


numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-300, 1e-8, 1e8, 1e150, 1e300, -1e300, 5e-324]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.floats(),
    st.integers(-3, 12),
    st.sampled_from([2**31, -(2**31), 2**63, 10**30]),
)
"""Numbers, most of them strange."""

words = st.one_of(st.sampled_from(["", " ", "auto", "label", "features", "1", "nan", "balanced"]), st.text(max_size=5))

junk = st.one_of(
    st.none(), st.booleans(), numbers, words, st.binary(max_size=3),
    st.lists(numbers, max_size=4), st.lists(st.lists(numbers, max_size=3), max_size=3), st.lists(words, max_size=3),
    st.dictionaries(st.one_of(words, numbers), st.one_of(numbers, words), max_size=2),
    st.builds(lambda values: np.array(values, dtype=np.float64), st.lists(st.floats(), max_size=4)),
    st.builds(lambda values: Vectors.dense(values), st.lists(st.floats(), max_size=4)),
    st.builds(object), st.just(np.float32(0.5)), st.just(np.int64(3)),
)  # fmt: skip
"""Values of any kind."""


def assert_finite(model: Model) -> None:
    """A model's numbers are; where a constant label decided it, the intercept may be infinite, as MLlib's is."""
    matrix = hasattr(model, "coefficientMatrix")
    weights = model.coefficientMatrix.toArray() if matrix else model.coefficients.toArray()
    intercepts = model.interceptVector.toArray() if matrix else np.array([model.intercept])
    assert np.isfinite(weights).all()
    assert not np.isnan(intercepts).any()
    if model.hasSummary:
        assert np.isfinite(model.summary.objective)
        assert np.isfinite(intercepts).all() or model.summary.solver == "none"
