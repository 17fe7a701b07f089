"""What a driver defines reaches the executors, wherever it is defined."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sparkgd.data.statistics import Statistics
from sparkgd.losses import Loss, custom_loss
from sparkgd.regression import LinearRegression

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOTEBOOK = """
    import numpy as np

    FACTOR = 0.5  # a global of the notebook

    class Squared:
        def value(self, label, raw_prediction):
            return FACTOR * (raw_prediction - label) ** 2

        def derivative(self, label, raw_prediction):
            return 2.0 * FACTOR * (raw_prediction - label)

        def curvature(self, label, raw_prediction):
            return np.full_like(raw_prediction, 2.0 * FACTOR)
"""


@pytest.fixture
def small_frame(spark: SparkSession) -> DataFrame:
    from pyspark.ml.linalg import Vectors

    random = np.random.default_rng(1)
    rows = [(Vectors.dense(x), float(x @ [1.0, -2.0] + random.normal())) for x in random.normal(size=(60, 2))]
    return spark.createDataFrame(rows, ["features", "label"]).repartition(2).cache()


def regression_with(loss: Loss, **params: Any) -> LinearRegression:
    class WithLoss(LinearRegression):
        def _loss(self, statistics: Statistics) -> Loss:
            return loss

    return WithLoss(**params)


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
def test_a_loss_defined_in_a_notebook_trains_on_the_cluster(small_frame: DataFrame, solver: str) -> None:
    namespace: dict[str, Callable[[], Any]] = {"__name__": "__main__"}  # type: ignore[dict-item]
    exec(dedent(NOTEBOOK), namespace)
    loss = custom_loss(namespace["Squared"]())
    model = regression_with(loss, execution="cluster", solver=solver, tol=1e-10).fit(small_frame)
    built_in = LinearRegression(execution="cluster", solver=solver, tol=1e-10).fit(small_frame)
    np.testing.assert_allclose(model.coefficients.toArray(), built_in.coefficients.toArray(), rtol=1e-8)
    assert model.intercept == pytest.approx(built_in.intercept, rel=1e-8)
