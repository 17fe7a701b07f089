"""From the params of regularisation to a penalty."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import Params, TypeConverters
from pyspark.ml.param.shared import HasElasticNetParam, HasRegParam, HasStandardization

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidParamError
from sparkgd.ml.params import param, value_or_none
from sparkgd.penalties import ElasticNet, Penalty

Array: TypeAlias = npt.NDArray[np.float64]


class HasPenaltyWeights(Params):
    """A factor of the penalty for each column."""

    penaltyWeights = param(
        "penaltyWeights",
        "factor of the penalty of each feature, 0 for features that are not penalised; default: 1 for all",
        TypeConverters.toListFloat,
    )


class RidgeParams(HasRegParam, HasStandardization, HasPenaltyWeights):
    """L2 regularisation, of standardised columns if ``standardization`` is true."""

    def _set_penalty_defaults(self) -> None:
        self._setDefault(regParam=0.0, standardization=True)


class ElasticNetParams(RidgeParams, HasElasticNetParam):
    """L1 and L2 regularisation."""

    def _set_penalty_defaults(self) -> None:
        super()._set_penalty_defaults()
        self._setDefault(elasticNetParam=0.0)


def column_penalty(
    instance: Params, statistics: Statistics, outputs: int, ddof: int = 1, l2_factor: float = 1.0
) -> Penalty:
    """``regParam * [a sum_j f_j s_j |b_j| + l2_factor * (1 - a)/2 sum_j f_j s_j^2 b_j^2]`` over all outputs.

    a is ``elasticNetParam`` (0 where an estimator has none), f ``penaltyWeights``, and s_j the deviation of column j
    with ``standardization``, else 1.

    Raises
    ------
    InvalidParamError
        If ``penaltyWeights`` has the wrong length or a negative entry.
    """
    columns = len(statistics.mean)
    strength = instance.getOrDefault("regParam")
    mix = value_or_none(instance, "elasticNetParam") or 0.0
    scale = statistics.deviation(ddof) if instance.getOrDefault("standardization") else np.ones(columns)
    factors = _factors(instance, columns)
    return ElasticNet(
        np.tile(strength * mix * factors * scale, outputs),
        np.tile(strength * (1.0 - mix) * l2_factor * factors * scale**2, outputs),
    )


def _factors(instance: Params, columns: int) -> Array:
    given = value_or_none(instance, "penaltyWeights")
    if given is None:
        return np.ones(columns)
    factors = np.asarray(given, dtype=np.float64)
    if len(factors) != columns:
        raise InvalidParamError(f"penaltyWeights has {len(factors)} entries, but there are {columns} features")
    if not (np.isfinite(factors).all() and (factors >= 0.0).all()):
        raise InvalidParamError("penaltyWeights has an entry that is negative or not finite; give numbers >= 0")
    return factors
