"""Fits whose loss is not defined at zero weights start, and stay, where it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from sparkgd.exceptions import InvalidDataError
from sparkgd.kernels import Block
from sparkgd.losses import LINKS, Family, GeneralizedLoss, Link, PowerFamily, generalized_loss, power_link
from sparkgd.solvers.base import Status
from sparkgd.solvers.registry import SolverSettings
from sparkgd.training.stopping import Stopping
from tests.support.local import LocalFit, block_of

Array = npt.NDArray[np.float64]

CASES: list[tuple[Family, Link]] = [
    (PowerFamily(0.0), LINKS["inverse"]),
    (PowerFamily(1.0), LINKS["identity"]),
    (PowerFamily(1.0), LINKS["sqrt"]),
    (PowerFamily(2.0), LINKS["identity"]),
    (PowerFamily(2.0), LINKS["inverse"]),
    (PowerFamily(1.5), power_link(-0.5)),
    (PowerFamily(3.0), power_link(-2.0)),
]
IDS = [f"{family.name}-{link.name}" for family, link in CASES]
OFFSETS = {"no offset": 0.0, "small offsets": 0.05, "offsets below": -0.3}


def rows_of(link: Link, offset: float) -> tuple[Array, Array, Array]:
    """Positive features, offsets up to ``offset``, and labels with a tenth of noise."""
    random = np.random.default_rng(8)
    features = random.uniform(0.5, 2.0, size=(200, 2))
    offsets = offset * random.random(200)
    mean = link.inverse(features @ np.array([0.9, 0.4]) + offsets)
    return features, mean * random.gamma(100.0, 0.01, 200), offsets


def score(family: Family, link: Link, block: Block, coef: Array) -> tuple[Array, Array]:
    """The score equations at a coef, and the size of their terms."""
    design, raw = block.features.dense(), block.features.dense() @ coef
    mean = link.inverse(raw if block.offset is None else raw + block.offset)
    slope = block.weight * (block.label - mean) / (family.variance(mean) * link.derivative(mean))
    return design.T @ slope, np.abs(design).T @ np.abs(slope)


def fit_of(family: Family, link: Link, solver: str = "auto") -> LocalFit:
    return LocalFit(
        generalized_loss(family, link), SolverSettings(solver), fit_intercept=False, stopping=Stopping(300, 1e-9)
    )


@pytest.mark.parametrize("offset", OFFSETS.values(), ids=list(OFFSETS))
@pytest.mark.parametrize("solver", ["auto", "l-bfgs", "newton-cg", "gd", "nesterov"])
@pytest.mark.parametrize(("family", "link"), CASES, ids=IDS)
def test_fits_without_intercept_reach_the_root_of_the_score(
    family: Family, link: Link, solver: str, offset: float
) -> None:
    features, label, offsets = rows_of(link, offset)
    block = replace(block_of(features, label), offset=offsets if offset else None)
    outcome = fit_of(family, link, solver).run(block)
    assert outcome.ending.status is Status.CONVERGED
    root, size = score(family, link, block, outcome.coef)
    assert np.all(np.abs(root) <= 1e-5 * size)


def test_offsets_that_the_null_model_does_not_reach_need_a_start_too() -> None:
    features, label, offsets = rows_of(LINKS["identity"], -0.3)
    block = replace(block_of(features, label), offset=20.0 * offsets)
    fit = LocalFit(generalized_loss(PowerFamily(2.0), LINKS["identity"]), stopping=Stopping(100, 1e-9))
    outcome = fit.run(block)
    assert outcome.ending.status is Status.CONVERGED
    mean = features @ outcome.coef[:2] + outcome.coef[2] + block.offset
    assert np.all(mean > 0.0)
    assert abs(np.sum((label - mean) / mean**2)) < 1e-5 * np.sum(np.abs(label - mean) / mean**2)


def test_a_first_guess_that_is_no_start_leads_to_one() -> None:
    """Labels far above and below what any plane through zero has: least squares pass some rows on the wrong side."""
    random = np.random.default_rng(1)
    features = np.column_stack([np.ones(40), random.uniform(0.0, 1.0, 40)]) * random.uniform(0.9, 1.1, (40, 1))
    label = np.where(features[:, 1] < 0.1, 1e-3, 5.0 * (features[:, 1] > 0.9) + 1e-3)
    family, link = PowerFamily(1.5), LINKS["identity"]
    loss = generalized_loss(family, link)
    assert isinstance(loss, GeneralizedLoss)
    outcome = fit_of(family, link).run(block_of(features, label))
    assert np.all(features @ outcome.coef > 0.0)
    assert np.isfinite(outcome.objectives).all() and outcome.objectives[-1] < outcome.objectives[0]


@pytest.mark.parametrize("aside", ["weight", "fold"])
def test_rows_that_do_not_count_need_no_mean(aside: str) -> None:
    features, label, _ = rows_of(LINKS["identity"], 0.0)
    fit = fit_of(PowerFamily(2.0), LINKS["identity"])
    alone = fit.run(block_of(features, label))
    more = block_of(np.vstack([features, [[-5.0, -5.0]]]), np.append(label, 1.0))
    last = np.arange(201) == 200
    if aside == "weight":
        together = fit.run(replace(more, weight=np.where(last, 0.0, 1.0)))
    else:
        together = fit.but(held_out=1).run(replace(more, fold=last.astype(np.uint8)))
        assert together.held_out_losses[-1] == np.inf
    assert together.ending.status is Status.CONVERGED
    np.testing.assert_allclose(together.coef, alone.coef, rtol=1e-7)


def test_rows_that_no_coefs_serve_are_refused_in_words() -> None:
    features = np.vstack([np.ones((5, 1)), -np.ones((5, 1))])
    with pytest.raises(InvalidDataError, match=r"gamma \(identity link\) loss allows; fit an intercept"):
        fit_of(PowerFamily(2.0), LINKS["identity"]).run(block_of(features, np.ones(10)))


def test_initial_coefs_that_are_no_start_are_named_as_the_cause() -> None:
    features, label, _ = rows_of(LINKS["identity"], 0.0)
    fit = fit_of(PowerFamily(2.0), LINKS["identity"]).but(start=(np.array([[-1.0, -1.0]]), None))
    outcome = fit.run(block_of(features, label))
    assert outcome.ending.status is Status.DIVERGED
    assert "give it other initial coefs" in outcome.ending.reason
