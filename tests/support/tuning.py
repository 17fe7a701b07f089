"""Searches over grids: ours, and those of ``pyspark.ml.tuning`` with the same arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from pyspark.ml import tuning as stock
from pyspark.ml.base import Estimator
from pyspark.ml.evaluation import Evaluator

from sparkgd import tuning

SEED = 11


def grid_of(instance: Any, **values: list[Any]) -> list[dict[Any, Any]]:
    """Param maps of all combinations, by the names of params."""
    builder = stock.ParamGridBuilder()
    for name, several in values.items():
        builder.addGrid(instance.getParam(name), several)
    return builder.build()


def cross_validator(
    estimator: Estimator, maps: list[dict[Any, Any]], evaluator: Evaluator, is_stock: bool = False, **params: Any
) -> Any:
    """A validator of two folds, unless ``params`` say otherwise."""
    kind = stock.CrossValidator if is_stock else tuning.CrossValidator
    given = {"estimator": estimator, "estimatorParamMaps": maps, "evaluator": evaluator, "numFolds": 2, "seed": SEED}
    return kind(**given | params)


def split_validator(
    estimator: Estimator, maps: list[dict[Any, Any]], evaluator: Evaluator, is_stock: bool = False, **params: Any
) -> Any:
    """A validator by one split."""
    kind = stock.TrainValidationSplit if is_stock else tuning.TrainValidationSplit
    given = {"estimator": estimator, "estimatorParamMaps": maps, "evaluator": evaluator, "seed": SEED}
    return kind(**given | params)


def best_of(metrics: list[float], evaluator: Evaluator) -> int:
    """Position of the best metric."""
    return int((np.nanargmax if evaluator.isLargerBetter() else np.nanargmin)(metrics))
