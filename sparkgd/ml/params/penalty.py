"""From the params of regularisation to a penalty."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import Params, TypeConverters
from pyspark.ml.param.shared import HasElasticNetParam, HasRegParam, HasStandardization

from sparkgd.data.statistics import Statistics
from sparkgd.ml.errors import IncompatibleError, InvalidDataError, InvalidParamError
from sparkgd.ml.params.shared import param, to_floats, to_rows, value_or_none
from sparkgd.penalties import Bounded, ElasticNet, GroupLasso, NoPenalty, Penalty

Array: TypeAlias = npt.NDArray[np.float64]


class HasPenaltyWeights(Params):
    """A factor of the penalty for each column."""

    penaltyWeights = param(
        "penaltyWeights",
        "factor of the penalty of each feature, 0 for features that are not penalised; default: 1 for all",
        TypeConverters.toListFloat,
    )


class HasPenaltyGroups(Params):
    """Columns whose weights are zero together or not at all."""

    penaltyGroups = param(
        "penaltyGroups",
        "number (from 0) of each feature's group, -1 for features that are not penalised; the L1 penalty becomes group "
        "lasso; needs elasticNetParam=1.0",
        TypeConverters.toListInt,
    )


class HasBounds(Params):
    """Box bounds, named as those of ``pyspark.ml.classification.LogisticRegression``; a vector stands for one row."""

    lowerBoundsOnCoefficients = param(
        "lowerBoundsOnCoefficients", "lower bounds, a matrix of one row per class or a vector; default: none", to_rows
    )
    upperBoundsOnCoefficients = param(
        "upperBoundsOnCoefficients", "upper bounds, a matrix of one row per class or a vector; default: none", to_rows
    )
    lowerBoundsOnIntercepts = param(
        "lowerBoundsOnIntercepts", "lower bounds on the intercepts, one per class; default: none", to_floats
    )
    upperBoundsOnIntercepts = param(
        "upperBoundsOnIntercepts", "upper bounds on the intercepts, one per class; default: none", to_floats
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


class AnyPenaltyParams(ElasticNetParams, HasPenaltyGroups, HasBounds):
    """All penalties of the library."""


def column_penalty(
    instance: Params, statistics: Statistics, outputs: int, ddof: int = 1, l2_factor: float = 1.0
) -> Penalty:
    """``regParam * [a sum_j f_j s_j |b_j| + l2_factor * (1 - a)/2 sum_j f_j s_j^2 b_j^2]`` over all outputs, in bounds.

    a is ``elasticNetParam`` (0 where an estimator has none), f ``penaltyWeights``, and s_j the deviation of column j
    with ``standardization``, else 1. With ``penaltyGroups`` it is ``regParam * sum_g sqrt(size_g) norm(s_j b_j)``.

    Raises
    ------
    InvalidParamError
        If ``penaltyWeights``, ``penaltyGroups`` or bounds do not fit the number of features or classes.
    IncompatibleError
        If groups and another penalty are given together.
    """
    columns = len(statistics.mean)
    scale = statistics.deviation(ddof) if instance.getOrDefault("standardization") else np.ones(columns)
    groups = value_or_none(instance, "penaltyGroups")
    if groups is not None:
        return _group_lasso(instance, np.asarray(groups), scale, outputs)
    strength = instance.getOrDefault("regParam")
    mix = value_or_none(instance, "elasticNetParam") or 0.0
    factors = _factors(instance, columns)
    penalty = ElasticNet(
        np.tile(strength * mix * factors * scale, outputs),
        np.tile(strength * (1.0 - mix) * l2_factor * factors * scale**2, outputs),
    )
    return _bounded(instance, "OnCoefficients", penalty, (outputs, columns))


def label_unit(instance: Params, statistics: Statistics, ddof: int, strength: float) -> float:
    """Deviation of the label less the offset, by which MLlib divides the L2 of least squares, if there is any.

    That of a constant is 0, which does not matter (1 stands for it) without L2, or where an intercept, or none for the
    constant 0, leaves nothing for weights to do.

    Raises
    ------
    InvalidDataError
        If it does matter; MLlib has an error for it too.
    """
    label, offset = statistics.label_low, statistics.offset_low
    is_constant = label == statistics.label_high and offset == statistics.offset_high
    deviation = 0.0 if is_constant else statistics.net_label_deviation(ddof)
    if deviation > 0.0:
        return deviation
    if strength > 0.0 and not (instance.getOrDefault("fitIntercept") or statistics.net_label_mean == 0.0):
        has_offset = value_or_none(instance, "offsetCol") is not None
        found = "less the offset is everywhere" if has_offset else "holds only the label"
        raise InvalidDataError(
            f"column {instance.getOrDefault('labelCol')!r} {found} {statistics.net_label_mean:g}: "
            "its standard deviation, which L2 of least squares is divided by, is 0. Set regParam=0, or fit an intercept"
        )
    return 1.0


def intercept_penalty(instance: Params, outputs: int) -> Penalty:
    """Bounds on the intercepts, where there are any.

    Raises
    ------
    InvalidParamError
        If they do not fit the number of classes.
    """
    return _bounded(instance, "OnIntercepts", NoPenalty(), (outputs,))


def penalty_kind(instance: Params) -> Penalty:
    """The penalty of a single column of deviation 1: of the kind that the params ask for, whatever the columns.

    Raises
    ------
    IncompatibleError
        If groups and another penalty are given together.
    """
    if value_or_none(instance, "penaltyGroups") is not None:
        _check_groups(instance)
        return GroupLasso(np.zeros(1, dtype=np.intp), np.full(1, instance.getOrDefault("regParam")), np.ones(1))
    mix = value_or_none(instance, "elasticNetParam") or 0.0
    strength = instance.getOrDefault("regParam") * max(value_or_none(instance, "penaltyWeights") or [1.0])
    penalty = ElasticNet(np.full(1, strength * mix), np.full(1, strength * (1.0 - mix)))
    return _walled(instance, "OnCoefficients", penalty)


def intercept_penalty_kind(instance: Params) -> Penalty:
    """Bounds on one intercept, where there are any."""
    return _walled(instance, "OnIntercepts", NoPenalty())


def _walled(instance: Params, suffix: str, penalty: Penalty) -> Penalty:
    is_bounded = any(value_or_none(instance, f"{side}Bounds{suffix}") is not None for side in ("lower", "upper"))
    return Bounded(np.full(1, -1.0), np.full(1, 1.0), penalty) if is_bounded else penalty


def centred(instance: Params, weights: Array, intercepts: Array) -> tuple[Array, Array]:
    """Multinomial weights (K, p) and intercepts (K,) with the mean 0 over the classes wherever the penalty allows.

    Shifts of all classes alike change no probability; this choice, MLlib's, makes the model unique. Bounds rule it out,
    and so does an infinite intercept.
    """
    sides, parts = ("lower", "upper"), ("OnCoefficients", "OnIntercepts")
    if any(value_or_none(instance, f"{side}Bounds{part}") is not None for side in sides for part in parts):
        return weights, intercepts
    if np.isinf(intercepts).any():
        return weights, intercepts
    free = _unpenalised(instance, weights.shape[1])
    mean = intercepts.mean() if instance.getOrDefault("fitIntercept") else 0.0
    return weights - np.where(free, weights.mean(axis=0), 0.0), intercepts - mean


def _unpenalised(instance: Params, columns: int) -> npt.NDArray[np.bool_]:
    groups = value_or_none(instance, "penaltyGroups")
    factors = _factors(instance, columns) if groups is None else np.asarray(groups) >= 0
    return np.asarray(instance.getOrDefault("regParam") * factors == 0.0)


def _bounded(instance: Params, suffix: str, penalty: Penalty, shape: tuple[int, ...]) -> Penalty:
    low, high = (_bounds(instance, f"{side}Bounds{suffix}", shape) for side in ("lower", "upper"))
    if low is None and high is None:
        return penalty
    size = int(np.prod(shape))
    low = np.full(size, -np.inf) if low is None else low
    high = np.full(size, np.inf) if high is None else high
    if np.any(low > high):
        raise InvalidParamError(
            f"lowerBounds{suffix} exceeds upperBounds{suffix} at entry {int(np.argmax(low > high))}"
        )
    return Bounded(low, high, penalty)


def _bounds(instance: Params, name: str, shape: tuple[int, ...]) -> Array | None:
    given = value_or_none(instance, name)
    if given is None:
        return None
    bounds = np.asarray(given, dtype=np.float64)
    if bounds.shape != shape:
        raise InvalidParamError(f"{name} has shape {bounds.shape}, but the data need {shape}")
    if np.isnan(bounds).any():
        raise InvalidParamError(f"{name} has an entry that is NaN; use infinity for no bound")
    return bounds.reshape(-1)


def _check_groups(instance: Params) -> None:
    others = ("penaltyWeights", "lowerBoundsOnCoefficients", "upperBoundsOnCoefficients")
    if instance.getOrDefault("elasticNetParam") != 1.0 or any(instance.isDefined(name) for name in others):
        raise IncompatibleError(
            "penaltyGroups goes with elasticNetParam=1.0, and without penaltyWeights and bounds on coefficients"
        )


def _group_lasso(instance: Params, groups: npt.NDArray[np.intp], scale: Array, outputs: int) -> Penalty:
    _check_groups(instance)
    if len(groups) != len(scale):
        raise InvalidParamError(f"penaltyGroups has {len(groups)} entries, but there are {len(scale)} features")
    if groups.min() < -1:
        raise InvalidParamError("penaltyGroups has an entry below -1; give numbers from 0, or -1 for no penalty")
    tiled = np.tile(groups, outputs)
    sizes = np.bincount(tiled[tiled >= 0], minlength=int(groups.max()) + 1)
    return GroupLasso(tiled, instance.getOrDefault("regParam") * np.sqrt(sizes), np.tile(scale, outputs))


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
