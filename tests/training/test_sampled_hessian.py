"""The Hessian of a sample as the metric of L-BFGS: laws of its solves, and the rounds that it saves."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import InverseGaussianLoss, LogisticLoss, MultinomialLoss, PoissonLoss, SquaredLoss
from sparkgd.losses.base import Loss
from sparkgd.penalties import ElasticNet
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import HessianQuestion
from sparkgd.questions.product import FixedHessian
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training import sampled_hessian
from sparkgd.training.auto import NEWTON_SIZE
from sparkgd.training.history import Outcome
from sparkgd.training.outline import TrainingSet
from sparkgd.training.rounds import Asked, run_round
from sparkgd.training.sampled_hessian import (
    ACCURACY,
    DAMPING,
    MAX_PRODUCTS,
    SampledHessian,
    metric_of,
)
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support import plans

COLUMNS = 5
LOSSES: dict[str, Loss] = {
    "logistic": LogisticLoss(),
    "squared": SquaredLoss(),
    "multinomial": MultinomialLoss(3),
    "poisson": PoissonLoss(),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def rows_for(loss: Loss, seed: int = 0, rows: int = 80) -> Block:
    random = np.random.default_rng(seed)
    features = DenseFeatures(random.standard_normal((rows, COLUMNS)))
    label = random.integers(0, max(loss.num_outputs, 2), rows).astype(float)
    return Block(features, label, random.uniform(0.5, 2.0, rows), fold=random.integers(0, 2, rows).astype(np.uint8))


def problem_of(loss: Loss, l1: float = 0.0, held_out: int = -1) -> Problem:
    layout = CoefLayout(COLUMNS, loss.num_outputs)
    weights = np.full(layout.num_weights, 1.0)
    random = np.random.default_rng(1)
    diagonal = Diagonal(layout, random.standard_normal(COLUMNS), random.uniform(0.5, 2.0, COLUMNS), 1.5)
    return Problem(loss, layout, ElasticNet(l1 * weights, 0.01 * weights), diagonal, held_out)


def point_of(problem: Problem) -> np.ndarray:
    return 0.3 * np.random.default_rng(2).standard_normal(problem.layout.size)


@every_loss
@pytest.mark.parametrize("held_out", [-1, 1])
def test_a_system_is_solved_as_accurately_as_it_says(name, held_out):
    loss = LOSSES[name]
    problem, blocks = problem_of(loss, held_out=held_out), [rows_for(loss)]
    point = point_of(problem)
    hessian = run_round([Asked(problem, HessianQuestion(point), LocalRows(blocks))])[0].reply.hessian
    damped = hessian + DAMPING * np.eye(len(point))
    for vector in np.random.default_rng(3).standard_normal((5, len(point))):
        sampled = SampledHessian(problem, blocks, point)
        np.testing.assert_allclose(sampled.product(vector), damped @ vector, rtol=1e-9, atol=1e-12)
        solution = sampled.solve(vector)
        assert np.linalg.norm(damped @ solution - vector) <= (1.0 + 1e-9) * ACCURACY * np.linalg.norm(vector)


def test_where_the_loss_is_not_convex_the_solution_still_leads_along_the_vector():
    loss = InverseGaussianLoss()
    problem, block = problem_of(loss), rows_for(loss)
    blocks = [replace(block, label=block.label + 1.0)]
    point = problem.point(np.append(np.zeros(COLUMNS), 2.0))  # beyond log 2y the curvature is negative
    hessian = run_round([Asked(problem, HessianQuestion(point), LocalRows(blocks))])[0].reply.hessian
    values, vectors = np.linalg.eigh(hessian)
    assert values[0] < -DAMPING
    for vector in [*vectors.T, *np.random.default_rng(3).standard_normal((5, len(point)))]:
        assert SampledHessian(problem, blocks, point).solve(vector) @ vector > 0.0


@every_loss
def test_zero_is_solved_by_zero(name):
    problem, blocks = problem_of(LOSSES[name]), [rows_for(LOSSES[name])]
    point = point_of(problem)
    assert not SampledHessian(problem, blocks, point).solve(np.zeros_like(point)).any()


def test_a_system_takes_no_more_products_than_allowed(monkeypatch):
    loss, columns = SquaredLoss(), 200
    layout = CoefLayout(columns)
    features = np.random.default_rng(0).standard_normal((400, columns)) * np.geomspace(1.0, 1e3, columns)
    blocks = [Block(DenseFeatures(features), features[:, 0], np.ones(400))]
    unscaled = Diagonal(layout, np.zeros(columns), np.ones(columns))
    problem = Problem(loss, layout, ElasticNet(np.zeros(columns), np.zeros(columns)), unscaled)
    vector = np.random.default_rng(1).standard_normal(layout.size)
    product, products = FixedHessian.product, []

    def counted(self, direction):
        products.append(direction)
        return product(self, direction)

    monkeypatch.setattr(FixedHessian, "product", counted)
    assert SampledHessian(problem, blocks, np.zeros(layout.size)).solve(vector) @ vector > 0.0
    assert len(products) == MAX_PRODUCTS


def test_there_is_a_metric_for_smooth_penalties_and_a_sample_that_costs_little(monkeypatch):
    loss, rows = LOSSES["multinomial"], 80
    monkeypatch.setattr(sampled_hessian, "MOST_CURVATURES", rows * loss.num_outputs**2)
    assert metric_of(problem_of(loss), [rows_for(loss, rows=rows)]) is not None
    assert metric_of(problem_of(loss), [rows_for(loss, rows=rows), rows_for(loss, rows=1)]) is None
    assert metric_of(problem_of(loss, l1=0.1), [rows_for(loss, rows=rows)]) is None


WIDE, CLASSES = 120, 9


def blocks_of(rows: int, certainty: float) -> list[Block]:
    """Correlated columns, and classes that are the less in doubt the greater ``certainty`` is."""
    random = np.random.default_rng(5)
    features = random.standard_normal((rows, 30)) @ random.standard_normal((30, WIDE))
    features = features / 5.0 + 0.3 * random.standard_normal((rows, WIDE))
    raw = certainty * features @ random.standard_normal((WIDE, CLASSES)) + random.gumbel(size=(rows, CLASSES))
    label = raw.argmax(axis=1).astype(float)
    parts = np.split(np.arange(rows), [rows // 3])
    return [Block(DenseFeatures(features[p]), label[p], np.ones(len(p)), first_row=int(p[0])) for p in parts]


def asked_for(blocks: list[Block], share: float | None) -> tuple[FitSettings, TrainingSet]:
    """A model of more coefs than Newton's method takes."""
    assert CLASSES * (WIDE + 1) > NEWTON_SIZE

    def penalty(known, outputs):
        return ElasticNet(np.zeros(outputs * WIDE), np.full(outputs * WIDE, 1e-4))

    settings = FitSettings(MultinomialLoss(CLASSES), penalty, True, False, SolverSettings(), Stopping(200, 1e-6))
    return settings, plans.training_set(blocks, sample=plans.sample_from(blocks, share) if share else None)


def fit(blocks: list[Block], share: float | None) -> Outcome:
    return plans.fit(*asked_for(blocks, share))


def rounds(outcome: Outcome) -> int:
    """Of the solver over all rows."""
    return outcome.stages[-1].rounds


@pytest.mark.parametrize(
    ("rows", "certainty", "ratio"),
    [
        pytest.param(20_000, 0.3, 0.5, id="a sample of many rows saves half of the rounds"),
        pytest.param(8_000, 1.0, 1.1, id="one that it learns by heart costs few"),
    ],
)
def test_l_bfgs_reaches_the_same_optimum_in_fewer_rounds(rows, certainty, ratio):
    blocks = blocks_of(rows, certainty)
    plain, sampled = fit(blocks, None), fit(blocks, 0.25)
    assert plain.ending.status is sampled.ending.status is Status.CONVERGED
    assert sampled.objectives[-1] == pytest.approx(plain.objectives[-1], rel=1e-7)
    assert rounds(sampled) <= ratio * rounds(plain)


def test_same_bits_on_repeat_and_from_a_pickled_stage():
    blocks = blocks_of(6_000, 0.3)
    final = plans.final_stage(*asked_for(blocks, 0.25))
    first = plans.solve(final).coef
    assert first.tobytes() == fit(blocks, 0.25).coef.tobytes()
    assert first.tobytes() == plans.solve(pickle.loads(pickle.dumps(final))).coef.tobytes()
