"""Standard errors of a fit without a penalty: which fits have them, and the rounds that find them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame
from scipy import linalg

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.information import InformationKernel, Leverage, ScoresByGroup
from sparkgd.kernels.likelihood import Likelihood
from sparkgd.ml.clustered import cluster_column, spread_of_clusters
from sparkgd.ml.coefficient_errors import Inference, MultinomialInference
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.params.class_weights import class_weights_of
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.training_data import TrainingData, training_data
from sparkgd.training.memory import Memory

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

Array: TypeAlias = npt.NDArray[np.float64]

COVARIANCES = {"classic": None, "HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2, "cluster": None}
"""The power of ``1 - leverage`` that squared scores are divided by; None where single scores do not count."""


@dataclass(frozen=True)
class Estimates:
    """What standard errors are about.

    Attributes
    ----------
    likelihood : Likelihood
        Of the labels.
    weights : ndarray (K, p)
    intercepts : ndarray (K,)
    names : list of str
        Of the features.
    """

    likelihood: Likelihood
    weights: Array
    intercepts: Array
    names: list[str]


@dataclass(frozen=True)
class Fit:
    """What they are estimated from.

    Attributes
    ----------
    estimates : Estimates
    estimator : LinearEstimator
        With the params of the fit.
    rows : DataFrame
        That it was fitted to.
    """

    estimates: Estimates
    estimator: LinearEstimator[Any]
    rows: DataFrame


def infer(fit: Fit, covariance: str, cluster: str | None = None) -> Inference:
    """Read the rows once more and ask for their information in one round; for a sandwich in two.

    Parameters
    ----------
    fit : Fit
    covariance : str
    cluster : str or None
        Column of clusters, for ``cluster`` alone.

    Raises
    ------
    InvalidParamError
        If there is no such covariance.
    IncompatibleError
        If the fit has a penalty or bounds, or its columns depend on each other.
    InvalidDataError
        If clusters are null, or there is only one.
    """
    _check(covariance, cluster)
    refuse_penalised(fit.estimator)
    _check_outputs(fit, covariance)
    if cluster is not None:
        cluster_column(fit.rows, cluster)
    estimator, power = fit.estimator, COVARIANCES[covariance]
    packing = replace(estimator._packing(), wants_sample=False)
    if power is not None:
        packing = replace(packing, moments_suffice=False)
    class_weights = class_weights_of(value_or_none(estimator, "classWeight"))
    name = f"{type(estimator).__name__}: standard errors"
    with training_data(fit.rows, estimator._columns(), packing, name, class_weights) as data, one_thread():
        return _inferred(fit, data, covariance, cluster, name)


def infer_from_memory(estimates: Estimates, memory: Memory, covariance: str) -> Inference:
    """Classic errors of a model that has learned from batches, by the information that it remembers of their rows.

    Raises
    ------
    IncompatibleError
        If other errors are asked for, or the model has several outputs or a dispersion to be estimated.
    """
    layout, statistics = memory.past.coordinates.layout, memory.statistics
    if covariance != "classic" or layout.num_outputs > 1 or not estimates.likelihood.has_known_dispersion:
        raise IncompatibleError(
            "the rows of the batches before are gone; of a model that partialFit has trained there are classic errors "
            "alone, if it is binomial or Poisson. priorPrecision has the information of all rows"
        )
    _, _, kept = _coordinates(statistics, layout.fit_intercept)
    center, scale = memory.past.coordinates.center, memory.past.coordinates.scale
    covariances = _raw_covariances(_inverse(memory.past.hessian, kept), 1, center, scale, layout.fit_intercept)
    covariances[~kept] = np.nan
    freedom = statistics.rows - int(np.count_nonzero(kept))
    return _told(estimates, covariances, layout.fit_intercept, covariance, 1.0, freedom)


def _check(covariance: str, cluster: str | None) -> None:
    """Refuse a covariance that is not there, and clusters without their column or the other way round."""
    if covariance not in COVARIANCES:
        raise InvalidParamError(f"covariance={covariance!r} is not allowed; give one of {', '.join(COVARIANCES)}")
    if covariance == "cluster" and cluster is None:
        raise InvalidParamError("covariance='cluster' needs clusterCol, the column that says which rows are alike")
    if covariance != "cluster" and cluster is not None:
        raise IncompatibleError(f"clusterCol={cluster!r} is for covariance='cluster', not {covariance!r}")


def _check_outputs(fit: Fit, covariance: str) -> None:
    """Refuse models of several raw predictions what is defined for one."""
    if COVARIANCES[covariance] and len(fit.estimates.intercepts) > 1:
        allowed = ", ".join(name for name, power in COVARIANCES.items() if not power)
        raise IncompatibleError(
            f"covariance={covariance!r} is about the leverage of a row, which a multinomial model has for each class; "
            f"give one of {allowed}"
        )


def _check_classes(fit: Fit, statistics: Statistics) -> None:
    """Refuse classes that no row has: their intercepts have no estimate."""
    classes = range(len(fit.estimates.intercepts))
    absent = [str(k) for k in classes if len(classes) > 1 and not statistics.class_weights.get(k)]
    if absent:
        raise IncompatibleError(
            f"no row has the label {', '.join(absent)}: of such a class nothing is known, so there are no errors"
        )


def refuse_infinite(intercepts: Array) -> None:
    """Refuse models at infinity, where nothing has errors.

    Raises
    ------
    IncompatibleError
    """
    if not np.isfinite(intercepts).all():
        raise IncompatibleError("the label is constant: the intercept is infinite, where nothing has errors")


def refuse_penalised(estimator: LinearEstimator[Any]) -> None:
    """Refuse fits whose coefficients a penalty or bounds pull away from where the likelihood is largest.

    Raises
    ------
    IncompatibleError
    """
    reason = "standard errors, tests and p-values hold for estimates of maximum likelihood"
    if value_or_none(estimator, "regParam"):
        raise IncompatibleError(
            f"regParam={estimator.getOrDefault('regParam')!r}: {reason}, from which a penalty pulls coefficients away; "
            "fit with regParam=0 for them"
        )
    for side in ("lower", "upper"):
        for part in ("OnCoefficients", "OnIntercepts"):
            if value_or_none(estimator, f"{side}Bounds{part}") is not None:
                raise IncompatibleError(f"{side}Bounds{part}: {reason}; fit without bounds for them")


def _inferred(fit: Fit, data: TrainingData, covariance: str, cluster: str | None, name: str) -> Inference:
    statistics, has_intercept = data.rows.statistics, bool(fit.estimator.getOrDefault("fitIntercept"))
    center, scale, kept = _coordinates(statistics, has_intercept)
    likelihood = fit.estimates.likelihood
    _check_classes(fit, statistics)
    kernel = InformationKernel(
        likelihood,
        fit.estimates.weights,
        fit.estimates.intercepts,
        center,
        scale,
        has_intercept,
        held_out=data.held_out,
    )
    information, pearson = _ask(kernel, data, name)
    inverse = _inverse(information, np.tile(kept, kernel.outputs))
    freedom = statistics.rows - kernel.outputs * int(np.count_nonzero(kept))
    dispersion = 1.0 if likelihood.has_known_dispersion else pearson / freedom if freedom > 0 else np.nan
    spread, power = inverse * dispersion, COVARIANCES[covariance]
    if power is not None:
        scores, _ = _ask(replace(kernel, leverage=Leverage(inverse, power)), data, name)
        spread = inverse @ scores @ inverse
        spread *= statistics.rows / freedom if covariance == "HC1" else 1.0
    elif cluster is not None:
        found = spread_of_clusters(fit.rows, data.columns, cluster, ScoresByGroup(kernel, data.class_factors), name)
        factor = (statistics.rows - 1) / freedom if freedom > 0 else np.nan
        spread = inverse @ found.spread @ inverse * (found.groups / (found.groups - 1) * factor)
        freedom = found.groups - 1
    covariances = _raw_covariances(spread, kernel.outputs, center, scale, has_intercept)
    covariances[~kept] = np.nan
    return _told(fit.estimates, covariances, has_intercept, covariance, dispersion, freedom)


def _told(
    estimates: Estimates, covariances: Array, has_intercept: bool, covariance: str, dispersion: float, freedom: int
) -> Inference:
    """The inference of covariances (q, m, m) of what is identified."""
    contrast, weights = estimates.likelihood.contrast, estimates.weights
    values = np.column_stack([weights, estimates.intercepts]) if has_intercept else weights
    covariances = contrast @ covariances @ contrast.T
    variances = np.einsum("qkk->kq", covariances)
    told: dict[str, Any] = {
        "names": (estimates.names + ["(Intercept)"] * has_intercept) * len(values),
        "estimates": values.ravel(),
        "standardErrors": np.sqrt(variances).ravel(),
        "covariance": covariance,
        "dispersion": dispersion,
        "degreesOfFreedom": freedom,
        "isNormal": estimates.likelihood.has_known_dispersion,
    }
    return Inference(**told) if len(values) == 1 else MultinomialInference(**told, classCovariances=covariances)


def _ask(kernel: InformationKernel, data: TrainingData, description: str) -> tuple[Array, float]:
    """One scan of all rows: the matrix, and Pearson's statistic."""
    (sums,) = data.rows.rows.round([kernel], description)
    assert sums.hessian is not None and sums.value is not None
    return sums.hessian, float(sums.value[0])


def _coordinates(statistics: Statistics, has_intercept: bool) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Center and scale of columns in which nothing cancels, and which coefficients the rows know anything about."""
    deviation = statistics.deviation(ddof=0)
    varies = deviation > 0.0
    center = statistics.mean if has_intercept else np.zeros_like(deviation)
    size = deviation if has_intercept else np.sqrt(deviation**2 + statistics.mean**2)
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=varies)
    return center, scale, np.concatenate([varies, np.ones(int(has_intercept), dtype=bool)])


def _inverse(information: Array, kept: npt.NDArray[np.bool_]) -> Array:
    """Inverse of the part about the coefficients that are kept, zero elsewhere."""
    part = information[np.ix_(kept, kept)]
    size = np.sqrt(np.diag(part))
    if not np.all(size > 0.0):
        raise IncompatibleError(
            "the model is certain of every row, so its coefficients have no standard errors: their estimates are at "
            "infinity. A penalty keeps them finite"
        )
    unit = part / np.outer(size, size)
    values = linalg.eigvalsh(unit) if len(unit) else np.ones(1)
    if not values[0] > len(unit) * np.finfo(float).eps * values[-1]:
        raise IncompatibleError(
            "the columns of features depend on each other linearly, so their coefficients have no standard errors; "
            "leave out columns that others determine"
        )
    inverse = np.zeros_like(information)
    inverse[np.ix_(kept, kept)] = linalg.inv(unit) / np.outer(size, size)
    return inverse


def _raw_covariances(spread: Array, outputs: int, center: Array, scale: Array, has_intercept: bool) -> Array:
    """Covariances (q, m, m) over m outputs of each raw coefficient, from those of centred and scaled columns."""
    width = len(scale) + has_intercept
    spread = spread.reshape(outputs, width, outputs, width)
    raw: Array = np.einsum("kjlj->jkl", spread)[: len(scale)] * scale[:, None, None] ** 2
    if not has_intercept:
        return raw
    back = np.append(-center * scale, 1.0)
    return np.concatenate([raw, np.einsum("i,kilj,j->kl", back, spread, back, optimize=True)[None]])
