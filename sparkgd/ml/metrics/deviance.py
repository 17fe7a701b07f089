"""Metrics of generalized linear regressions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from scipy import special

from sparkgd.exceptions import IncompatibleError
from sparkgd.losses.families import Family
from sparkgd.losses.links import Link

Array: TypeAlias = npt.NDArray[np.float64]


class DevianceMetrics:
    """Of a generalized linear regression.

    Parameters
    ----------
    df : DataFrame
        With ``label``, ``weight``, ``prediction`` and the raw prediction ``eta``.
    family : Family
    link : Link
    rank : int
        Coefficients, the intercept included.
    null_mean : Column or None
        The mean by the model without features; None where that has to be fitted.
    """

    def __init__(self, df: DataFrame, family: Family, link: Link, rank: int, null_mean: Column | None) -> None:
        self._df, self._family, self._link, self._null_mean = df, family, link, null_mean
        self.rank = rank

    @cached_property
    def _sums(self) -> dict[str, float]:
        return deviance_sums(self._df, self._family)

    @property
    def numInstances(self) -> int:
        """Number of rows."""
        return int(self._sums["rows"])

    @property
    def residualDegreeOfFreedom(self) -> int:
        """Rows less rank."""
        return self.numInstances - self.rank

    degreesOfFreedom = residualDegreeOfFreedom

    @property
    def deviance(self) -> float:
        """Deviance of the model."""
        return self._sums["deviance"]

    @property
    def nullDeviance(self) -> float:
        """Deviance of the model without features."""
        if self._null_mean is None:
            raise IncompatibleError(
                "with an offset, nullDeviance is that of a fit without features, which is done where there is a JVM, "
                "and not with Spark Connect: fit one to an empty featuresCol for its deviance"
            )
        return deviance_sums(self._df.withColumn("prediction", self._null_mean), self._family)["deviance"]

    @property
    def dispersion(self) -> float:
        """1 for binomial and poisson, else Pearson's statistic by degrees of freedom."""
        if self._family.name in ("binomial", "poisson"):
            return 1.0
        return self._sums["pearson"] / self.residualDegreeOfFreedom

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        found = akaike(self._family, self._sums, self.rank)
        if found is None:
            raise IncompatibleError(f"family={self._family.name!r} has no AIC: it has no likelihood")
        return found

    def residuals(self, kind: str) -> DataFrame:
        """Residuals of a type, one column."""
        compute, name = _residuals(self._family, self._link, kind), f"{kind}Residuals"

        def each(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                yield pa.RecordBatch.from_pydict({name: compute(*_columns(batch))})

        return self._df.select("label", "weight", "prediction").mapInArrow(each, f"{name} double")


def _residuals(family: Family, link: Link, kind: str) -> Callable[[Array, Array, Array], Array]:
    """Residuals of labels, weights and means."""
    if kind == "deviance":
        return lambda y, w, mu: np.asarray(np.sign(y - mu) * np.sqrt(2.0 * w * family.value(y, mu)))
    if kind == "pearson":
        return lambda y, w, mu: np.asarray((y - mu) * np.sqrt(w / family.variance(mu)))
    if kind == "working":
        return lambda y, w, mu: np.asarray((y - mu) / link.inverse_derivatives(link.value(mu))[0])
    return lambda y, w, mu: y - mu


def _columns(batch: pa.RecordBatch) -> tuple[Array, Array, Array]:
    label, weight, mean = (batch.column(name).to_numpy() for name in ("label", "weight", "prediction"))
    return label, weight, mean


SUMS = ("rows", "weight", "deviance", "pearson", "log weight", "log likelihood", "log label", "ratio", "log mean")
"""What one pass over labels and means adds up."""


def deviance_sums(df: DataFrame, family: Family) -> dict[str, float]:
    """`SUMS` over rows of ``label``, ``weight`` and ``prediction``."""

    def add(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total = np.zeros(len(SUMS))
        for batch in batches:
            total += _sums_of(family, *_columns(batch))
        yield pa.RecordBatch.from_pydict({name: [value] for name, value in zip(SUMS, total, strict=True)})

    schema = ", ".join(f"`{name}` double" for name in SUMS)
    rows = df.select("label", "weight", "prediction").mapInArrow(add, schema).collect()
    return {name: float(sum(row[name] for row in rows)) for name in SUMS}


def _sums_of(family: Family, label: Array, weight: Array, mean: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        if family.name == "binomial":
            trials = np.round(weight)
            hits = np.round(label * weight)
            ways = special.gammaln(trials + 1) - special.gammaln(hits + 1) - special.gammaln(trials - hits + 1)
            likelihood = ways + special.xlogy(hits, mean) + special.xlog1py(trials - hits, -mean)
        else:
            whole = np.floor(label)
            likelihood = weight * (special.xlogy(whole, mean) - mean - special.gammaln(whole + 1))
        parts = {
            "rows": np.ones_like(label),
            "weight": weight,
            "deviance": 2.0 * weight * family.value(label, mean),
            "pearson": weight * (label - mean) ** 2 / family.variance(mean),
            "log weight": np.log(weight),
            "log likelihood": likelihood,
            "log label": weight * np.log(label),
            "ratio": weight * label / mean,
            "log mean": weight * np.log(mean),
        }
    return np.array([parts[name].sum() for name in SUMS])


def akaike(family: Family, sums: dict[str, float], rank: int) -> float | None:
    """Akaike's criterion as MLlib has it for each family (R's ``aic``); None for those without a likelihood."""
    rows, weight, deviance = sums["rows"], sums["weight"], sums["deviance"]
    if family.name == "gaussian":
        value = rows * (np.log(2.0 * np.pi * deviance / rows) + 1.0) + 2.0 - sums["log weight"]
    elif family.name == "gamma":
        shape = weight / deviance
        likelihood = (
            (shape - 1.0) * sums["log label"] - shape * sums["ratio"]
            - shape * (sums["log mean"] - weight * np.log(shape)) - weight * special.gammaln(shape)
        )  # fmt: skip
        value = 2.0 - 2.0 * likelihood
    elif family.name in ("binomial", "poisson"):
        value = -2.0 * sums["log likelihood"]
    else:
        return None
    return float(value + 2.0 * rank)
