"""Families and links of generalized linear models."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from sparkgd.exceptions import InvalidParamError
from sparkgd.losses import (
    LINKS,
    BinomialFamily,
    Family,
    GeneralizedLoss,
    Link,
    NegativeBinomialLoss,
    PoissonLoss,
    PowerFamily,
    generalized_loss,
    power_link,
)
from sparkgd.losses.families import NEAR
from sparkgd.losses.links import PowerLink
from tests.losses.cases import GENERALIZED, grid_of

Array = npt.NDArray[np.float64]

ALL_LINKS: dict[str, Link] = {**LINKS, "power(-1.5)": power_link(-1.5), "power(0.3)": power_link(0.3)}
links = pytest.mark.parametrize("link", list(ALL_LINKS.values()), ids=list(ALL_LINKS))
MEANS = np.linspace(0.02, 0.98, 49)


@links
def test_inverse_undoes_the_link(link: Link) -> None:
    raw = link.value(MEANS)
    assert np.all(link.contains(raw))
    np.testing.assert_allclose(link.inverse(raw), MEANS, rtol=1e-13)


@links
def test_derivatives_of_a_link(link: Link) -> None:
    step = 1e-6
    slope = (link.value(MEANS + step) - link.value(MEANS - step)) / (2.0 * step)
    np.testing.assert_allclose(link.derivative(MEANS), slope, rtol=1e-6)
    raw = link.value(MEANS)
    first, second = link.inverse_derivatives(raw)
    np.testing.assert_allclose(first * link.derivative(MEANS), np.ones_like(MEANS), rtol=1e-12)
    change = link.inverse_derivatives(raw + step)[0] - link.inverse_derivatives(raw - step)[0]
    np.testing.assert_allclose(second, change / (2.0 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(("power", "name"), [(0.0, "log"), (1.0, "identity"), (-1.0, "inverse"), (0.5, "sqrt")])
def test_powers_with_a_name(power: float, name: str) -> None:
    assert power_link(power) == LINKS[name]


def test_a_power_link_equals_the_named_one_it_approaches() -> None:
    np.testing.assert_allclose(PowerLink(1.0).value(MEANS), LINKS["identity"].value(MEANS))
    np.testing.assert_allclose(PowerLink(-1.0).derivative(MEANS), LINKS["inverse"].derivative(MEANS))


def of_its_own(loss: object) -> bool:
    return not isinstance(loss, GeneralizedLoss)


PAIRS: list[tuple[Family, str]] = [
    (PowerFamily(0.0), "identity"),
    (PowerFamily(1.0), "log"),
    (PowerFamily(1.5), "log"),
    (PowerFamily(2.0), "log"),
    (PowerFamily(2.5), "log"),
    (PowerFamily(3.0), "log"),
    (BinomialFamily(), "logit"),
    (BinomialFamily(), "probit"),
    (BinomialFamily(), "cloglog"),
]


@pytest.mark.parametrize(("family", "link"), PAIRS, ids=[f"{f.name}-{k}" for f, k in PAIRS])
def test_a_class_of_its_own_equals_the_chain_rule(family: Family, link: str) -> None:
    own, general = generalized_loss(family, LINKS[link]), GeneralizedLoss(family, LINKS[link])
    assert of_its_own(own) and own.label_range == general.label_range
    grid = grid_of(own, largest=2.0)
    (value, derivative), (other_value, other_derivative) = (
        loss.value_and_derivative(grid.label, grid.raw) for loss in (own, general)
    )
    pairs = [
        (value - value[:, :1], other_value - other_value[:, :1]),  # equal up to a constant of the label
        (derivative, other_derivative),
        (own.curvature(grid.label, grid.raw), general.curvature(grid.label, grid.raw)),
        (own.inverse_link(grid.raw), general.inverse_link(grid.raw)),
    ]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-11)


def log_density(family: Family, label: Array, mean: Array) -> Array:
    """scipy's log density with dispersion 1."""
    match family:
        case PowerFamily(0.0):
            return np.asarray(stats.norm.logpdf(label, mean, 1.0))
        case PowerFamily(1.0):
            return np.asarray(stats.poisson.logpmf(label, mean))
        case PowerFamily(2.0):
            return np.asarray(stats.expon.logpdf(label, scale=mean))
        case PowerFamily(3.0):
            return np.asarray(stats.invgauss.logpdf(label, mean))
        case BinomialFamily():
            return np.asarray(stats.bernoulli.logpmf(label, mean))
    raise AssertionError(family)


DENSITIES: dict[Family, list[float]] = {
    PowerFamily(0.0): [-1.0, 0.3, 2.0],
    PowerFamily(1.0): [0.0, 1.0, 5.0],
    PowerFamily(2.0): [0.1, 1.0, 5.0],
    PowerFamily(3.0): [0.1, 1.0, 5.0],
    BinomialFamily(): [0.0, 1.0],
}


@pytest.mark.parametrize("family", DENSITIES, ids=lambda family: f"{family.name}-{getattr(family, 'power', '')}")
def test_value_is_the_negative_log_likelihood_up_to_a_constant_of_the_label(family: Family) -> None:
    label = np.array(DENSITIES[family])[:, None]
    mean = np.linspace(0.1, 0.9, 9)
    constant = family.value(label, mean) + log_density(family, label, mean)
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:, :1], constant.shape), rtol=1e-9, atol=1e-12)


POWERS = [0.0, 1.0, 1.2, 1.5, 1.9, 2.0, 2.5, 3.0]


@pytest.mark.parametrize("family", [*map(PowerFamily, POWERS), BinomialFamily()], ids=str)
def test_deviance_is_zero_exactly_where_the_mean_is_the_label(family: Family) -> None:
    label = np.array([0.03, 0.4, 0.9])[:, None]
    assert not family.value(label, label).any()
    mean = label * np.array([0.2, 0.98, 1.02, 1.1])
    assert np.all(family.value(label, mean) > 0.0)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("distance", [1e-12, 1e-8, 1e-5, 1e-3, 0.0155, 0.0157, 0.02, 0.5])
def test_deviance_does_not_cancel_near_the_label(power: float, distance: float) -> None:
    """It is the integral of ``(y - t) / t^power`` from the mean to the label."""
    mean = 3e4
    label = mean * (1.0 + distance)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    along = 0.5 * (nodes + 1.0)
    integrand = (1.0 - along) / (1.0 + (label / mean - 1.0) * along) ** power
    integral = (label - mean) ** 2 * mean**-power * 0.5 * float(weights @ integrand)
    value = PowerFamily(power).value(np.array([label]), np.array([mean]))[0]
    assert value == pytest.approx(integral, rel=1e-13 if distance < NEAR else 1e-10)


def test_negative_binomial_is_the_negative_log_likelihood_and_tends_to_poisson() -> None:
    alpha, raw = 0.7, np.linspace(-2.0, 2.0, 9)
    label = np.array([0.0, 1.0, 6.0])[:, None]
    density = stats.nbinom.logpmf(label, 1.0 / alpha, 1.0 / (1.0 + alpha * np.exp(raw)))
    value, _ = NegativeBinomialLoss(alpha).value_and_derivative(label, np.broadcast_to(raw, (3, 9)))
    constant = value + density
    np.testing.assert_allclose(constant, np.broadcast_to(constant[:, :1], constant.shape), atol=1e-12)
    _, near = NegativeBinomialLoss(1e-6).value_and_derivative(label, np.broadcast_to(raw, (3, 9)))
    np.testing.assert_allclose(near, PoissonLoss().value_and_derivative(label, raw)[1], atol=1e-4)


@pytest.mark.parametrize("name", [name for name, loss in GENERALIZED.items() if not of_its_own(loss)])
def test_raw_predictions_outside_the_domain_cost_inf_and_nothing_is_nan(name: str) -> None:
    loss = GENERALIZED[name]
    assert isinstance(loss, GeneralizedLoss)
    grid = grid_of(loss)
    for raw in (np.full(grid.raw.shape, outside) for outside in (-1e4, -1.0, -1e-300, 0.0)):
        mean = np.asarray(loss.inverse_link(raw))
        inside = np.isfinite(mean) & loss.family.contains(mean)
        value, derivative = loss.value_and_derivative(grid.label, raw)
        assert np.all(inside | ((value == np.inf) & (derivative == 0.0)))
        assert not np.isnan(value).any() and not np.isnan(derivative).any()
        assert not np.isnan(loss.curvature(grid.label, raw)).any()


@pytest.mark.parametrize("power", [-1.0, 0.5, np.nan, np.inf])
def test_powers_of_no_family_are_refused(power: float) -> None:
    with pytest.raises(InvalidParamError, match="0, or 1 and above"):
        PowerFamily(power)


def test_probit_and_cloglog_are_exact_far_out() -> None:
    label, raw = np.array([1.0, 0.0]), np.array([-40.0, 40.0])
    probit, cloglog = (generalized_loss(BinomialFamily(), LINKS[name]) for name in ("probit", "cloglog"))
    value, derivative = probit.value_and_derivative(label, raw)
    np.testing.assert_allclose(value, -stats.norm.logcdf(-40.0) * np.ones(2), rtol=1e-14)
    np.testing.assert_allclose(derivative, [-40.0249687, 40.0249687], rtol=1e-8)
    value, derivative = cloglog.value_and_derivative(label, -np.abs(raw))
    np.testing.assert_allclose(value, [40.0, np.exp(-40.0)], rtol=1e-14)
    np.testing.assert_allclose(derivative, [-1.0, np.exp(-40.0)], rtol=1e-14)
