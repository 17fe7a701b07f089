"""Standard errors of a fit without a penalty, and the table that shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import DataFrame
from scipy import linalg, stats

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.information import InformationKernel, Leverage, ScoresByGroup
from sparkgd.losses.families import BinomialFamily, Family, PowerFamily
from sparkgd.losses.links import Link
from sparkgd.ml.clustered import cluster_column, spread_of_clusters
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.params.class_weights import class_weights_of
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.training_data import TrainingData, training_data

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator

Array: TypeAlias = npt.NDArray[np.float64]

COVARIANCES = {"classic": None, "HC0": 0, "HC1": 0, "HC2": 1, "HC3": 2, "cluster": None}
"""The power of ``1 - leverage`` that squared scores are divided by; None where single scores do not count."""

KNOWN_DISPERSION = (BinomialFamily(), PowerFamily(1.0))
"""Families whose variance is that of their mean: no dispersion is estimated, and statistics are normal."""


@dataclass(frozen=True)
class Inference:
    """What a fit says about the coefficients beyond its own sample; the intercept, where there is one, comes last.

    Attributes
    ----------
    names : list of str
    estimates, standardErrors : ndarray (k,)
        A column that is constant has no standard error: nan.
    covariance : str
        ``classic``, or the kind of sandwich.
    dispersion : float
        1 where the family has none.
    degreesOfFreedom : int
        Rows less coefficients; of clustered errors clusters less one.
    isNormal : bool
        Whether statistics are normal, as with a known dispersion, or Student's.
    """

    names: list[str]
    estimates: Array
    standardErrors: Array
    covariance: str
    dispersion: float
    degreesOfFreedom: int
    isNormal: bool

    @property
    def statistics(self) -> Array:
        """Estimates by standard errors: z or t."""
        return self.estimates / self.standardErrors

    @property
    def pValues(self) -> Array:
        """Two-sided p-values of the hypothesis that a coefficient is 0."""
        return np.asarray(2.0 * self._distribution.sf(np.abs(self.statistics)))

    def interval(self, level: float = 0.95) -> Array:
        """Confidence intervals (k, 2)."""
        width = self._distribution.ppf(0.5 + 0.5 * level) * self.standardErrors
        return np.column_stack([self.estimates - width, self.estimates + width])

    @property
    def _distribution(self) -> Any:
        return stats.norm if self.isNormal else stats.t(self.degreesOfFreedom)

    def table(self) -> pd.DataFrame:
        """A row for each coefficient: estimate, standard error, statistic, p-value and 95% interval."""
        low, high = self.interval().T
        letter = "z" if self.isNormal else "t"
        columns = {
            "estimate": self.estimates, "std error": self.standardErrors, letter: self.statistics,
            f"P>|{letter}|": self.pValues, "0.025": low, "0.975": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(self.names, name="name"))


@dataclass(frozen=True)
class Fit:
    """What standard errors are about.

    Attributes
    ----------
    estimator : LinearEstimator
        With the params of the fit.
    rows : DataFrame
        That it was fitted to.
    family, link
        Of the generalized linear model that it is.
    weights, intercept, names
        Of the fitted model.
    """

    estimator: LinearEstimator[Any]
    rows: DataFrame
    family: Family
    link: Link
    weights: Array
    intercept: float
    names: list[str]


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


def _check(covariance: str, cluster: str | None) -> None:
    """Refuse a covariance that is not there, and clusters without their column or the other way round."""
    if covariance not in COVARIANCES:
        raise InvalidParamError(f"covariance={covariance!r} is not allowed; give one of {', '.join(COVARIANCES)}")
    if covariance == "cluster" and cluster is None:
        raise InvalidParamError("covariance='cluster' needs clusterCol, the column that says which rows are alike")
    if covariance != "cluster" and cluster is not None:
        raise IncompatibleError(f"clusterCol={cluster!r} is for covariance='cluster', not {covariance!r}")


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
    kernel = InformationKernel(
        fit.family, fit.link, fit.weights, fit.intercept, center, scale, has_intercept, held_out=data.held_out
    )
    information, pearson = _ask(kernel, data, name)
    inverse = _inverse(information, kept)
    freedom = statistics.rows - int(np.count_nonzero(kept))
    is_known = fit.family in KNOWN_DISPERSION
    dispersion = 1.0 if is_known else pearson / freedom if freedom > 0 else np.nan
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
    variances = _raw_variances(spread, center, scale, has_intercept)
    return Inference(
        names=fit.names + ["(Intercept)"] * has_intercept,
        estimates=np.append(fit.weights, [fit.intercept] * has_intercept),
        standardErrors=np.where(kept, np.sqrt(variances), np.nan),
        covariance=covariance,
        dispersion=dispersion,
        degreesOfFreedom=freedom,
        isNormal=is_known,
    )


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


def _raw_variances(spread: Array, center: Array, scale: Array, has_intercept: bool) -> Array:
    """Variances of raw coefficients, from the covariance of those of centred and scaled columns."""
    variances = np.diag(spread)[: len(scale)] * scale**2
    if not has_intercept:
        return np.asarray(variances)
    back = np.append(-center * scale, 1.0)
    return np.append(variances, back @ spread @ back)
