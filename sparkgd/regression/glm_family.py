"""Families and links of `GeneralizedLinearRegression`, as MLlib's params name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import Params
from pyspark.sql import Column
from pyspark.sql import functions as F

from sparkgd.losses.families import BinomialFamily, Family, PowerFamily
from sparkgd.losses.links import LINKS, Link, power_link
from sparkgd.ml.errors import IncompatibleError, InvalidParamError
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.scoring import computed
from sparkgd.ml.sql import number

Array: TypeAlias = npt.NDArray[np.float64]

NAMED_LINKS = {
    "gaussian": ("identity", "log", "inverse"),
    "binomial": ("logit", "probit", "cloglog"),
    "poisson": ("log", "identity", "sqrt"),
    "gamma": ("inverse", "identity", "log"),
}
"""The links that each family takes; the first is the canonical one and the default."""

POWERS = {"gaussian": 0.0, "poisson": 1.0, "gamma": 2.0}

LEAST_MEAN, LARGEST_MEAN = 1e-16, float(np.finfo(np.float64).max)
"""MLlib's."""


MEAN_IN_SQL = {
    "identity": "{}",
    "log": "exp({})",
    "inverse": "(1E0 / {})",
    "logit": "(1E0 / (1E0 + exp(-{})))",
    "cloglog": "(1E0 - exp(-exp({})))",
}
"""The mean as a function of the raw prediction, by link; of a power link its power says it, of probit nothing does."""


@dataclass(frozen=True)
class FamilyAndLink:
    """A family with a link for it."""

    family: Family
    link: Link

    def information(self, raw_prediction: Array) -> Array:
        """Expected curvature of a row's half deviance in the raw prediction: its IRLS working weight."""
        slope = self.link.inverse_derivatives(raw_prediction)[0]
        return np.asarray(slope * slope / self.family.variance(self.link.inverse(raw_prediction)))

    @property
    def mean_range(self) -> tuple[float, float]:
        """The means that MLlib's model predicts: where there are none beyond a limit, it stays off that limit."""
        if isinstance(self.family, BinomialFamily):
            return LEAST_MEAN, 1.0 - LEAST_MEAN
        return (-LARGEST_MEAN if self.family == PowerFamily(0.0) else LEAST_MEAN), LARGEST_MEAN

    @property
    def is_least_squares(self) -> bool:
        """Whether this is the gaussian family with the identity link."""
        return self.family == PowerFamily(0.0) and self.link == LINKS["identity"]


def family_and_link(instance: Params) -> FamilyAndLink:
    """What the params ``family``, ``link``, ``variancePower`` and ``linkPower`` stand for.

    Raises
    ------
    InvalidParamError
        If they do not fit together.
    """
    name = instance.getOrDefault("family").lower()
    if name == "tweedie":
        return _tweedie(instance)
    links = NAMED_LINKS[name]
    link = value_or_none(instance, "link") or links[0]
    if link.lower() not in links:
        raise InvalidParamError(f"link={link!r} does not go with family={name!r}; give one of {', '.join(links)}")
    family: Family = BinomialFamily() if name == "binomial" else PowerFamily(POWERS[name])
    return FamilyAndLink(family, LINKS[link.lower()])


def link_name(instance: Params) -> str:
    """The link as MLlib calls it: a power of the mean by its number."""
    given, family = value_or_none(instance, "link"), instance.getOrDefault("family").lower()
    if family != "tweedie":
        return given or NAMED_LINKS[family][0]
    power = value_or_none(instance, "linkPower")
    return f"{1.0 - instance.getOrDefault('variancePower') if power is None else power}"


def mean_in_sql(link: Link, raw_prediction: str) -> str:
    """A SQL expression of the mean.

    Raises
    ------
    IncompatibleError
        If the link is probit.
    """
    if link.name == "probit":
        raise IncompatibleError("link='probit' has no SQL expression: SQL has no normal distribution")
    if link.name in MEAN_IN_SQL:
        return MEAN_IN_SQL[link.name].format(raw_prediction)
    power = float(np.log(link.value(np.array(np.e))))  # of any power link: ln e^power
    return f"power({raw_prediction}, {number(1.0 / power)})"


def mean_column(link: Link, raw_prediction: str) -> Column:
    """The mean as a column, of that of the raw prediction of a plain name."""
    if link.name == "probit":
        return computed(link.inverse, F.col(raw_prediction))
    return F.expr(mean_in_sql(link, raw_prediction))


def _tweedie(instance: Params) -> FamilyAndLink:
    if value_or_none(instance, "link") is not None:
        raise InvalidParamError("link is not used with family='tweedie'; set linkPower instead")
    variance = instance.getOrDefault("variancePower")
    if not (variance == 0.0 or variance >= 1.0):
        raise InvalidParamError(f"variancePower={variance!r} is not allowed; give 0, or 1 and above")
    power = value_or_none(instance, "linkPower")
    return FamilyAndLink(PowerFamily(variance), power_link(1.0 - variance if power is None else power))
