"""Fits on condensed rows: the optimum, proven over all rows, in few rounds; and if it is not found, nothing is lost."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import HingeLoss, PiecewiseLinearLoss
from sparkgd.penalties import Bounded, ElasticNet, NoPenalty, Penalty
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training import cutting_planes
from sparkgd.training.history import Outcome
from sparkgd.training.outline import TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.losses.cases import KINKED
from tests.support.plans import final_stage, fit, sample_from, solve, training_set

ROWS, COLUMNS = 4000, 6
L2 = np.full(COLUMNS, 1e-3)
PENALTIES: dict[str, Penalty] = {
    "l2": ElasticNet(np.zeros(COLUMNS), L2),
    "elastic net": ElasticNet(np.full(COLUMNS, 5e-3), L2),
    "none": NoPenalty(),
    "bounds": Bounded(np.full(COLUMNS, -0.2), np.full(COLUMNS, 0.3), ElasticNet(np.zeros(COLUMNS), L2)),
}
PROVABLE = ("l2", "elastic net")

DEFAULT = Stopping(100, 1e-6)

every_loss = pytest.mark.parametrize("loss", list(KINKED.values()), ids=list(KINKED))


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """A tenth of the rows is kept at first."""
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", 8 * (COLUMNS + 3) * ROWS // 10)


def blocks_for(loss: PiecewiseLinearLoss) -> list[Block]:
    """Three blocks of unequal size, with offsets, weights and a fifth of the rows in fold 1."""
    random = np.random.default_rng(3)
    features = random.standard_normal((ROWS, COLUMNS)) * 10.0 ** np.linspace(-1, 1, COLUMNS)
    offset = 0.3 * random.standard_normal(ROWS)
    raw = features @ (10.0 ** np.linspace(1, -1, COLUMNS) * 0.4) + offset + random.standard_t(3, ROWS)
    label = (raw > 0.0).astype(np.float64) if loss.label_range.integer else raw
    weight, fold = random.choice([0.0, 1.0, 2.0], ROWS), (random.random(ROWS) < 0.2).astype(np.uint8)
    parts = np.split(np.arange(ROWS), [700, 2900])
    return [
        Block(DenseFeatures(features[p]), label[p], weight[p], offset[p], fold[p], first_row=int(p[0])) for p in parts
    ]


def sample_for(loss: PiecewiseLinearLoss) -> RowSample:
    return sample_from(blocks_for(loss), 0.1)


def asked_for(
    loss: PiecewiseLinearLoss, penalty: Penalty, sample: RowSample | None, held_out: int = -1, solver: str = "auto",
    stopping: Stopping = DEFAULT,
) -> tuple[FitSettings, TrainingSet]:  # fmt: skip
    settings = FitSettings(loss, lambda s, k: penalty, True, False, SolverSettings(solver), stopping, held_out=held_out)
    return settings, training_set(blocks_for(loss), held_out, sample)


def outcome_of(*arguments, **options) -> Outcome:
    return fit(*asked_for(*arguments, **options))


def rounds_by_stage(outcome: Outcome) -> dict[str, int]:
    """Over all rows."""
    rounds: dict[str, int] = {}
    for stage in outcome.stages:
        if not stage.is_local:
            rounds[stage.name] = rounds.get(stage.name, 0) + stage.rounds
    return rounds


@every_loss
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("held_out", [-1, 1])
def test_the_optimum_is_that_of_a_plain_fit(loss, penalty, held_out):
    plain = outcome_of(loss, PENALTIES[penalty], None, held_out)
    outcome = outcome_of(loss, PENALTIES[penalty], sample_for(loss), held_out)
    rounds = rounds_by_stage(outcome)
    assert outcome.last.is_resumed
    assert "it starts from the optimum of condensed rows" in outcome.result.reason
    assert outcome.ending.status is plain.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] == pytest.approx(plain.objectives[-1], rel=2e-6)
    assert np.isnan(outcome.held_out_losses[-1]) == (held_out < 0)
    if penalty in PROVABLE:
        assert rounds["all rows"] == 1, "the first evaluation over all rows proves it"
        assert 0.0 <= outcome.duality_gap <= 1e-6 * outcome.objectives[-1]
        assert outcome.objectives[-1] - outcome.duality_gap <= plain.objectives[-1]
        assert outcome.gradient_norms[-1] < 0.1
    assert rounds["rows near kinks"] <= cutting_planes.ROUNDS
    assert len(outcome.seconds) == rounds["rows near kinks"] + rounds["all rows"]


@every_loss
def test_the_same_bits_every_time(loss):
    fits = [outcome_of(loss, PENALTIES["l2"], sample_for(loss)) for _ in range(2)]
    assert pickle.dumps(fits[0].coef) == pickle.dumps(fits[1].coef)


@every_loss
def test_a_bad_sample_does_no_harm(loss):
    random = np.random.default_rng(0)
    strange = [
        replace(block, features=DenseFeatures(50.0 * block.features.dense()), label=random.permutation(block.label))
        for block in blocks_for(loss)
    ]
    plain = outcome_of(loss, PENALTIES["l2"], None)
    outcome = outcome_of(loss, PENALTIES["l2"], sample_from(strange, 0.1))
    assert outcome.ending.status is Status.CONVERGED
    assert outcome.objectives[-1] == pytest.approx(plain.objectives[-1], rel=2e-6)
    assert outcome.duality_gap <= 1e-6 * outcome.objectives[-1]


def test_where_condensing_does_not_get_there_the_fit_starts_as_it_would_have(monkeypatch):
    monkeypatch.setattr(cutting_planes, "ROUNDS", 1)
    asked = asked_for(HingeLoss(), PENALTIES["l2"], sample_for(HingeLoss()))
    outcome, plain = fit(*asked), outcome_of(HingeLoss(), PENALTIES["l2"], None)
    assert final_stage(*asked).resumed is None
    assert outcome.result.reason == outcome.result.choice.reason
    np.testing.assert_array_equal(outcome.coef, plain.coef)


def test_few_iterations_are_not_enough_for_it():
    outcome = outcome_of(HingeLoss(), PENALTIES["l2"], sample_for(HingeLoss()), stopping=Stopping(2, 1e-6))
    assert outcome.ending.status is Status.MAX_ITERATIONS


def test_a_bound_that_proves_too_little_is_kept_while_the_fit_goes_on():
    final = final_stage(*asked_for(HingeLoss(), PENALTIES["l2"], sample_for(HingeLoss())))
    state = final.resumed.state
    loose = replace(state, bound=0.9 * state.bound)
    outcome = solve(replace(final, resumed=replace(final.resumed, state=loose)))
    assert outcome.last.is_resumed
    assert outcome.ending.status is Status.CONVERGED
    assert 1 < len(outcome.seconds) < 10
    assert outcome.duality_gap <= 1e-6 * outcome.objectives[-1]


def test_a_named_solver_starts_from_the_null_model():
    asked = asked_for(HingeLoss(), PENALTIES["l2"], sample_for(HingeLoss()), solver="newton")
    assert final_stage(*asked).resumed is None
