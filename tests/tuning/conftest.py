"""The rows that all searches of these tests are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS = 240


@pytest.fixture(scope="session")
def rows(spark: SparkSession) -> Iterator[DataFrame]:
    """A few rows with labels for every loss, weights, fold numbers and an offset."""
    from tests.support.frames import frame

    random = np.random.default_rng(5)
    X = random.normal(size=(ROWS, 3)) * [1.0, 5.0, 0.2] + [0.0, 2.0, 0.0]
    raw = X @ [0.8, 0.1, -2.0]
    columns = {
        "number": 9.0 + raw + random.normal(size=ROWS),
        "count": random.poisson(np.exp(0.5 * raw)).astype(float),
        "class": np.argmax(np.column_stack([raw, -raw, X[:, 1] / 4.0]) + random.gumbel(size=(ROWS, 3)), axis=1) * 1.0,
        "weight": random.choice([0.5, 1.0, 3.0], ROWS),
        "offset": random.normal(size=ROWS),
        "fold": np.arange(ROWS) % 2 * 1.0,
        "a": X[:, 0],
        "b": X[:, 1],
        "c": X[:, 2],
    }
    label = (raw + random.logistic(size=ROWS) > 0.3).astype(float)
    df = frame(spark, X, label, 2, **columns).cache()
    df.count()
    yield df
    df.unpersist()
