"""MLlib's robust regression: location and scale fitted together, on rounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import JointHuberLoss
from sparkgd.penalties import Penalty, elastic_net
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.plans import fit, training_set

Array = npt.NDArray[np.float64]

EPSILON, STRENGTH = 1.35, 0.05


def block_with_outliers() -> Block:
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 0.0]
    label = values @ [1.0, -0.3, 5.0] + 2.0 + random.standard_t(1.5, size=300)
    return Block(DenseFeatures(values), label, random.uniform(0.5, 2.0, 300))


def penalty(statistics: Statistics, outputs: int) -> Penalty:
    return elastic_net(STRENGTH, 0.0, np.tile(statistics.deviation(), outputs))


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_reaches_the_minimum_of_mllibs_objective(solver: str, fit_intercept: bool) -> None:
    block = block_with_outliers()
    settings = FitSettings(
        JointHuberLoss(EPSILON), penalty, fit_intercept, True, SolverSettings(solver), Stopping(200, 1e-9)
    )
    data = training_set([block])
    outcome, deviation = fit(settings, data), data.statistics.deviation()

    def objective(coef: Array) -> float:
        """Section 1/2W sum w [s + H(r / s) s] + strength/2 sum s_j^2 b_j^2, written out."""
        intercept, scale = (coef[3] if fit_intercept else 0.0), coef[-1]
        ratio = np.abs(block.features.dense() @ coef[:3] + intercept - block.label) / scale
        huber = np.where(ratio <= EPSILON, ratio**2, 2.0 * EPSILON * ratio - EPSILON**2)
        loss = block.weight @ (scale + huber * scale) / (2.0 * block.weight.sum())
        return float(loss + 0.5 * STRENGTH * np.sum((deviation * coef[:3]) ** 2))

    start = np.ones(4 + fit_intercept)
    bounds = [(None, None)] * (len(start) - 1) + [(1e-6, None)]
    best = optimize.minimize(objective, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-9})
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] == pytest.approx(objective(outcome.coef), rel=1e-12)
    assert outcome.objectives[-1] <= best.fun * (1.0 + 1e-9)
    assert outcome.coef[-1] > 0.0
