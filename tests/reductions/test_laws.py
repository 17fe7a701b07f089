"""Each reduction stands for all rows in the sense that it claims."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest

from sparkgd import reductions
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import HingeLoss, LogisticLoss, Loss, PoissonLoss, SquaredLoss
from sparkgd.penalties import ElasticNet, Penalty
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Problem
from sparkgd.questions import GradientQuestion
from sparkgd.reductions.base import Reduced, Reduction, Sense
from sparkgd.reductions.condensed import Condensed
from sparkgd.reductions.moments import Moments, MomentsWithin
from sparkgd.reductions.row_span import RowSpan
from sparkgd.reductions.sample import RowSample, sample_of
from sparkgd.training.rounds import Asked, run_round
from tests.losses.cases import KINKED
from tests.support.blocks import as_csr, random_block, split

RANDOM_POINTS = 20


def rows_of(loss: Loss, rows: int, columns: int) -> Block:
    """With offsets and weights, some of them zero, and a fifth of the rows in fold 1."""
    block = random_block(loss, rows, columns, seed=3, offset=True)
    return replace(block, fold=(np.arange(rows) % 5 == 0).astype(np.uint8))


def problem_of(loss: Loss, block: Block, penalty: Penalty, held_out: int = -1) -> Problem:
    columns = block.features.num_features
    layout = CoefLayout(columns, loss.num_outputs)
    coordinates = Diagonal(layout, np.full(columns, 0.2), np.linspace(0.5, 2.0, columns))
    weight = float(block.training_weight(held_out).sum())
    return Problem(loss, layout, penalty, coordinates, held_out, weight_sum=weight)


def ridge(columns: int, strength: float = 0.1) -> ElasticNet:
    return ElasticNet(np.zeros(columns), np.full(columns, strength))


def objectives(problem: Problem, rows: LocalRows, coefs: np.ndarray) -> np.ndarray:
    """At raw coefs (m, size)."""
    points = np.array([problem.point(coef) for coef in coefs])
    reply = run_round([Asked(problem, GradientQuestion(points), rows)])[0].reply
    return np.array([problem.total(float(value), point) for value, point in zip(reply.values, points, strict=True)])


def reduced_by(reduction: Reduction, problem: Problem, rows: LocalRows, points: np.ndarray) -> Reduced:
    """As plans do it."""
    question = reduction.question(problem, points)
    assert reduction.refusal(problem) is None
    assert question is not None
    return reduction.reduced(problem, run_round([Asked(problem, question, rows)])[0].reply)


def random_coefs(size: int, count: int = RANDOM_POINTS) -> np.ndarray:
    random = np.random.default_rng(6)
    return random.normal(size=(count, size)) * random.choice([0.01, 0.3, 3.0, 30.0], (count, 1))


def test_every_reduction_says_its_sense():
    modules = [import_module(f"{reductions.__name__}.{found.name}") for found in iter_modules(reductions.__path__)]
    known = {kind for module in modules for kind in vars(module).values() if is_reduction(kind)}
    assert {kind.sense for kind in known} == set(Sense)
    assert known == {MomentsWithin, RowSpan, Condensed, RowSample}, "these are tested below"


def is_reduction(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Reduction) and kind is not Reduction


@pytest.mark.parametrize("held_out", [-1, 1])
def test_moments_have_the_same_objective_everywhere(held_out):
    block = rows_of(SquaredLoss(), 200, 5)
    moments = MomentsWithin(1 << 20)(5)
    assert isinstance(moments, Moments)
    for part in split(block, [30, 120]):
        moments.add(part)
    problem = problem_of(SquaredLoss(), block, ridge(5), held_out)
    coefs = random_coefs(6)
    few = MomentsWithin(1 << 20).reduced(problem, moments.block())
    assert few.rows.count < 200
    np.testing.assert_allclose(
        objectives(few.problem, few.rows, coefs), objectives(problem, LocalRows([block]), coefs), rtol=1e-11
    )


@pytest.mark.parametrize("loss", [SquaredLoss(), LogisticLoss(), PoissonLoss()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("held_out", [-1, 1])
@pytest.mark.parametrize("stored", [lambda block: block, as_csr], ids=["dense", "csr"])
def test_the_span_of_the_rows_has_the_same_objective_in_the_span(loss, held_out, stored):
    rows, columns, strength = 25, 60, 0.1
    block = stored(rows_of(loss, rows, columns))
    problem = problem_of(loss, block, ridge(columns, strength), held_out)
    coordinates = Diagonal(problem.layout, np.full(columns, 0.2), np.full(columns, 1.0 / np.sqrt(strength)))
    parts = LocalRows(split(block, [7, 19]))
    span = reduced_by(RowSpan(rows, coordinates, 1.0), problem, parts, np.empty((0, 0)))
    assert span.rows.count < rows, "rows that weigh nothing are left out"
    coefs = 0.2 * random_coefs(span.problem.layout.size)
    lifted = np.array([span.lifted(coef) for coef in coefs])
    found, expected = objectives(span.problem, span.rows, coefs), objectives(problem, parts, lifted)
    finite = np.isfinite(expected)
    assert finite.sum() >= RANDOM_POINTS // 2
    np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-9)
    # What leads out of the span changes no prediction of a row and only costs penalty.
    dense, centre = block.features.dense(), coordinates.center
    used = block.training_weight(held_out) > 0.0
    outside = np.random.default_rng(0).normal(size=columns)
    outside -= np.linalg.pinv(dense[used] - centre) @ ((dense[used] - centre) @ outside)
    away = lifted.copy()
    away[:, :-1] += outside
    away[:, -1] -= outside @ centre
    moderate = expected < 1e6  # beyond, a penalty more or less is lost in rounding
    assert moderate.sum() >= RANDOM_POINTS // 4
    assert np.all(objectives(problem, parts, away)[moderate] > expected[moderate])


@pytest.mark.parametrize("loss", KINKED.values(), ids=KINKED)
@pytest.mark.parametrize("held_out", [-1, 1])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_condensed_rows_are_below_and_equal_at_the_first_and_last_point(loss, held_out, count):
    block = rows_of(loss, 400, 5)
    parts = LocalRows(split(block, [40, 250]))
    problem = problem_of(loss, block, ridge(5), held_out)
    points = np.random.default_rng(1).normal(size=(count, 6))
    few = reduced_by(Condensed(40, 400), problem, parts, points)
    assert few.rows.count < 250
    given = problem.coordinates.to_raw(points)
    coefs = np.concatenate([given[[0, -1]], given, random_coefs(6)])
    found, expected = objectives(problem, few.rows, coefs), objectives(problem, parts, coefs)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-10)
    assert np.all(found <= expected * (1.0 + 1e-12))
    assert np.any(found < 0.999 * expected), "far away it is below"


def test_what_stands_against_a_reduction_is_said():
    block = rows_of(LogisticLoss(), 60, 5)
    smooth, kinked = (problem_of(loss, block, ridge(5)) for loss in (LogisticLoss(), HingeLoss()))
    assert "not quadratic" in MomentsWithin(1).refusal(smooth)
    assert MomentsWithin(1)(5) is None
    assert "not piecewise linear" in Condensed(10, 60).refusal(smooth)
    assert Condensed(10, 60).refusal(kinked) is None
    assert "60 rows are too many" in RowSpan(60, Diagonal(smooth.layout, np.zeros(5), np.ones(5)), 1.0).refusal(smooth)
    assert "not L2" in RowSpan(3, None, 1.0).refusal(smooth)
    assert "kinks" in RowSample(LocalRows([block])).refusal(kinked)
    assert "too few" in RowSample(LocalRows([block.take(np.arange(3))])).refusal(smooth)
    assert RowSample(LocalRows([block])).refusal(smooth) is None


@pytest.mark.parametrize("rare", [False, True], ids=["even chances", "rare columns"])
def test_a_sample_has_the_weight_of_all_rows_and_their_objective_on_average(rare):
    random = np.random.default_rng(4)
    features = random.normal(size=(600, 3))
    if rare:
        features[:, 0] *= random.random(600) < 0.03
    label, weight = (random.random(600) < 0.4).astype(float), random.choice([0.0, 1.0, 2.0], 600)
    block = Block(DenseFeatures(features), label, weight)
    problem = problem_of(LogisticLoss(), block, ridge(3))
    coefs = random.normal(size=(4, 4))
    expected, found = objectives(problem, LocalRows([block]), coefs), []
    for _ in range(300):  # samples are taken at even steps, so chance is in the order of the rows
        few = RowSample(LocalRows([sample_of(block.take(random.permutation(600)), 0.15)])).reduced(problem, None)
        assert few.rows.count < 0.25 * 600
        assert few.rows.blocks[0].weight.sum() == pytest.approx(weight.sum(), rel=1e-12)
        found.append(objectives(problem, few.rows, coefs))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - expected) <= 4.0 * error)
