"""MLlib's robust regression: location and scale fitted together, on rounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import HuberLoss, JointHuberLoss
from sparkgd.losses.base import LabelSummary
from sparkgd.penalties import Penalty, elastic_net
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.plans import fit, training_set

Array = npt.NDArray[np.float64]

EPSILON, STRENGTH = 1.35, 0.05

WIDE = [  # rows, columns, decades of column scales to each side, strength, noise
    (60, 100, 2.0, 1e-3, 0.3),
    (60, 100, 3.0, 1e-5, 0.3),
    (40, 80, 0.0, 1e-4, 0.3),
    (30, 200, 3.0, 1e-3, 0.3),
    (40, 80, 2.0, 1e-6, 0.3),
]


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


def wide_data(rows: int, columns: int, decades: float, noise: float) -> tuple[Array, Array]:
    """More columns than rows, of very different scales, each with as much to say."""
    random = np.random.default_rng(rows + columns)
    scale = np.logspace(-decades, decades, columns)
    features = random.normal(size=(rows, columns))
    label = features @ random.normal(size=columns) / np.sqrt(columns) + 2.0
    return features * scale, label + noise * random.standard_t(1.5, size=rows)


def infimum(features: Array, label: Array, l2: Array, fit_intercept: bool) -> float:
    """That of the objective, by duality, where features explain every label.

    The loss is ``sup_c [c r + s (1 - c^2) / 2]`` over ``|c| <= epsilon``. So any such c whose mean square is at most 1
    (and whose mean is 0, with an intercept) bounds the objective: ``-mean(c y) - sum_j mean(c x_j)^2 / 2 l2_j``. The
    maximum of this without the inequalities solves a linear system, and here it fulfils them.
    """
    rows = len(label)
    system = np.zeros((rows + 1, rows + 1))
    system[:rows, :rows] = (features / l2) @ features.T / rows
    system[:rows, rows] = system[rows, :rows] = float(fit_intercept)
    system[rows, rows] = float(not fit_intercept)
    multiplier = np.linalg.solve(system, np.append(-label, 0.0))[:rows]
    assert np.abs(multiplier).max() <= EPSILON and np.mean(multiplier**2) <= 1.0
    slope = multiplier @ features / rows
    return float(-np.mean(multiplier * label) - 0.5 * np.sum(slope**2 / l2))


@pytest.mark.parametrize("solver", ["auto", "newton"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("rows", "columns", "decades", "strength", "noise"), WIDE)
def test_reaches_the_infimum_at_a_scale_of_zero(
    rows: int, columns: int, decades: float, strength: float, noise: float, fit_intercept: bool, solver: str
) -> None:
    features, label = wide_data(rows, columns, decades, noise)
    data = training_set([Block(DenseFeatures(features), label, np.ones(rows))])
    scale = data.statistics.deviation()
    settings = FitSettings(
        JointHuberLoss(EPSILON),
        lambda statistics, outputs: elastic_net(strength, 0.0, np.tile(scale, outputs)),
        fit_intercept, True, SolverSettings(solver), Stopping(100, 1e-6),
    )  # fmt: skip
    outcome = fit(settings, data)
    least = infimum(features, label, strength * scale**2, fit_intercept)
    resolution = JointHuberLoss().for_labels(data.statistics.label).resolution
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] >= least * (1.0 - 1e-9)
    assert outcome.objectives[-1] <= least * (1.0 + 1e-6) + 2.0 * resolution
    assert outcome.coef[-1] > 0.0


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_a_scale_with_few_curved_rows_left(strength: float) -> None:
    # Nearly half the rows are outliers, as many as there can be: of the others hardly more are left than columns.
    random = np.random.default_rng(4)
    features = random.normal(size=(100, 60)) * np.logspace(-1, 1, 60) + 5.0 * random.normal(size=60)
    label = features @ random.normal(size=60) + random.standard_t(2.0, size=100)
    settings = FitSettings(
        JointHuberLoss(EPSILON),
        lambda statistics, outputs: elastic_net(strength, 0.0, np.tile(statistics.deviation(), outputs)),
        True, True, SolverSettings("newton"), Stopping(100, 1e-6),
    )  # fmt: skip
    outcome = fit(settings, training_set([Block(DenseFeatures(features), label, np.ones(100))]))
    assert outcome.ending.status is Status.CONVERGED
    ratio = (features @ outcome.coef[:60] + outcome.coef[60] - label) / outcome.coef[-1]
    clipped = np.clip(ratio, -EPSILON, EPSILON)
    assert np.mean(clipped**2) == pytest.approx(1.0, abs=1e-4)  # the derivatives by scale and intercept are zero
    assert np.mean(clipped) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("far", [50.0, -50.0])
def test_newton_finds_its_way_from_where_no_row_is_curved(far: float) -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(100, 4))
    label = features @ [1.0, 2.0, -1.0, 0.5] + far + random.normal(size=100)

    def outcome(solver: str) -> float:
        settings = FitSettings(
            HuberLoss(EPSILON),
            lambda statistics, outputs: elastic_net(0.0, 0.0, np.ones(4)),
            False, True, SolverSettings(solver), Stopping(100, 1e-8),
        )  # fmt: skip
        found = fit(settings, training_set([Block(DenseFeatures(features), label, np.ones(100))]))
        assert found.ending.status is Status.CONVERGED
        return found.objectives[-1]

    assert outcome("newton") == pytest.approx(outcome("l-bfgs"), rel=1e-9)


@pytest.mark.parametrize("loss", [HuberLoss(EPSILON), JointHuberLoss(EPSILON, 1e-3)])
def test_whole_caution_lies_above_the_loss(loss: HuberLoss | JointHuberLoss) -> None:
    """As a function of the location: the model touches the loss where it was made and is nowhere below."""
    label, places = np.array([0.3]), np.linspace(-8.0, 8.0, 41)

    def raw(location: float) -> Array:
        joint = isinstance(loss, JointHuberLoss)
        return np.array([[location, 0.7]]) if joint else np.array([location])

    for at in places:
        value, slope = loss.value_and_derivative(label, raw(at))
        curvature = loss.curved(1.0).curvature(label, raw(at)).ravel()[0]
        for to in places:
            model = value[0] + slope.ravel()[0] * (to - at) + 0.5 * curvature * (to - at) ** 2
            assert loss.value_and_derivative(label, raw(to))[0][0] <= model + 1e-12


def test_the_resolution_is_in_the_unit_of_the_labels_and_far_below_what_they_tell() -> None:
    summary = LabelSummary(10.0, 3.0, 16.0, -5.0, 9.0)
    loss = JointHuberLoss(EPSILON).for_labels(summary)
    assert loss.resolution == pytest.approx(5e-12)
    label, raw = np.linspace(-3.0, 3.0, 7), np.tile([0.5, 0.01], (7, 1))
    for mine, plain in zip(
        loss.value_and_derivative(label, raw), JointHuberLoss(EPSILON).value_and_derivative(label, raw), strict=True
    ):
        np.testing.assert_allclose(mine, plain, rtol=1e-15)
