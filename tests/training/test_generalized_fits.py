"""Every family and link of MLlib's generalized linear regression reaches the root of its score equations, on rounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LINKS, BinomialFamily, Family, Link, PowerFamily, generalized_loss, power_link
from sparkgd.penalties import Penalty, elastic_net
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.losses.cases import MLLIB_LINKS
from tests.support.plans import fit, training_set

TOL = 1e-10

CASES = [
    *((family, LINKS[name]) for family, names in MLLIB_LINKS.items() for name in names),
    (PowerFamily(1.5), power_link(-0.5)),
    (PowerFamily(1.5), power_link(1.0)),
    (PowerFamily(2.5), power_link(0.0)),
]


def no_penalty(statistics: Statistics, outputs: int) -> Penalty:
    return elastic_net(0.0, 0.0, np.ones(outputs * len(statistics.mean)))


def noisy_block(family: Family) -> Block:
    """Rows around means between 0.2 and 0.8."""
    random = np.random.default_rng(4)
    values = random.uniform(-1.0, 1.0, size=(400, 2)) * [1.0, 100.0]
    share = 0.5 + 0.15 * values[:, 0] - 0.0015 * values[:, 1]
    noise = random.gamma(4.0, 0.25, 400)
    label = (random.random(400) < share).astype(float) if isinstance(family, BinomialFamily) else share * noise
    return Block(DenseFeatures(values), label, random.uniform(0.5, 2.0, 400))


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
@pytest.mark.parametrize(("family", "link"), CASES, ids=[f"{f.name}-{k.name}" for f, k in CASES])
def test_reaches_the_root_of_the_score(family: Family, link: Link, solver: str) -> None:
    block = noisy_block(family)
    settings = FitSettings(
        generalized_loss(family, link), no_penalty, True, False, SolverSettings(solver), Stopping(100, TOL)
    )
    outcome = fit(settings, training_set([block]))
    assert outcome.ending.status is Status.CONVERGED
    design = np.column_stack([block.features.dense(), np.ones(block.rows)])
    mean = link.inverse(design @ outcome.coef)
    assert np.all(family.contains(mean))
    working = block.weight / (family.variance(mean) * link.derivative(mean))
    score = design.T @ (working * (mean - block.label))
    size = np.abs(design).T @ np.abs(working * (mean - block.label))
    # The objective is quadratic about its minimum: within TOL of it, the score is within the root of TOL of zero.
    assert np.all(np.abs(score) <= np.sqrt(TOL) * size)


def low_noise_block(unit: float) -> tuple[Block, npt.NDArray[np.float64]]:
    """Labels within a tenth of their means, which is all that a fit has to go by, and the coef of their exact fit."""
    random = np.random.default_rng(43)
    features = random.normal(size=(1000, 3)) * [1.0, 0.1, 0.02]
    mean = unit * (5.0 + features @ np.array([1.0, 0.1, 0.1]))
    label = mean * random.gamma(100.0, 0.01, 1000)
    design = np.column_stack([features, np.ones(1000)])
    coef = np.linalg.lstsq(design, label)[0]
    for _ in range(20):  # the score of the gamma family with the identity link is sum x (y - m) / m^2
        mean = design @ coef
        score, slope = design.T @ ((label - mean) / mean**2), (design.T * ((2.0 * label - mean) / mean**3)) @ design
        coef = coef + np.linalg.solve(slope, score)
    return Block(DenseFeatures(features), label, np.ones(1000)), coef


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_coefs_are_exact_whatever_the_unit_of_the_labels(unit: float) -> None:
    """A tolerance relative to the objective is one relative to the deviance."""
    block, coef = low_noise_block(unit)
    loss = generalized_loss(PowerFamily(2.0), LINKS["identity"])
    settings = FitSettings(loss, no_penalty, True, False, SolverSettings("auto"), Stopping(100, 1e-9))
    outcome = fit(settings, training_set([block]))
    assert outcome.ending.status is Status.CONVERGED
    np.testing.assert_allclose(outcome.coef, coef, rtol=1e-6)
