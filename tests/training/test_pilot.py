"""Training on a sample first: it starts near the optimum, changes no result, and is dropped where it does not hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import LogisticLoss, MultinomialLoss, PoissonLoss, SquaredLoss
from sparkgd.losses.base import Loss
from sparkgd.penalties import ElasticNet
from sparkgd.questions import HessianQuestion
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers import registry
from sparkgd.solvers.base import Status
from sparkgd.solvers.newton import Newton
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.history import Outcome
from sparkgd.training.outline import TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stopping import Stopping
from tests.support import plans
from tests.support.plans import sample_from, solve, training_set

ROWS, COLUMNS = 6000, 8
LOSSES: dict[str, Loss] = {"logistic": LogisticLoss(), "squared": SquaredLoss(), "multinomial": MultinomialLoss(3)}
CURVED = ["logistic", "multinomial"]


def blocks_for(loss: Loss) -> list[Block]:
    random = np.random.default_rng(3)
    features = random.standard_normal((ROWS, COLUMNS)) * 10.0 ** np.linspace(-1, 2, COLUMNS)
    raw = features @ (random.standard_normal((COLUMNS, 3)) / 10.0 ** np.linspace(-1, 2, COLUMNS)[:, None])
    raw += random.gumbel(size=raw.shape)
    label = {"logistic": (raw[:, 0] > 0).astype(float), "squared": raw[:, 0], "multinomial": raw.argmax(axis=1) * 1.0}
    weight = random.choice([0.5, 1.0, 2.0], ROWS)
    parts = np.split(np.arange(ROWS), [1500])
    return [Block(DenseFeatures(features[p]), label[loss.name][p], weight[p], first_row=int(p[0])) for p in parts]


def asked_for(
    loss: Loss, blocks: list[Block], sample: RowSample | None, solver: str = "auto", l1: float = 0.0
) -> tuple[FitSettings, TrainingSet]:
    def penalty(known, outputs):
        return ElasticNet(np.full(outputs * COLUMNS, l1), np.full(outputs * COLUMNS, 1e-3))

    settings = FitSettings(loss, penalty, True, False, SolverSettings(solver), Stopping(100, 1e-6))
    return settings, training_set(blocks, sample=sample)


def fit(loss: Loss, blocks: list[Block], sample: RowSample | None, **options) -> Outcome:
    return plans.fit(*asked_for(loss, blocks, sample, **options))


def final_stage(loss: Loss, blocks: list[Block], sample: RowSample | None, **options) -> Solving:
    return plans.final_stage(*asked_for(loss, blocks, sample, **options))


@pytest.mark.parametrize("l1", [0.0, 0.01])
@pytest.mark.parametrize("name", CURVED)
def test_the_result_is_that_of_a_fit_without_pilot_in_fewer_rounds(name, l1):
    loss, blocks = LOSSES[name], blocks_for(LOSSES[name])
    plain, piloted = fit(loss, blocks, None, l1=l1), fit(loss, blocks, sample_from(blocks, 0.2), l1=l1)
    assert piloted.ending.status is plain.ending.status is Status.CONVERGED
    assert piloted.objectives[-1] == pytest.approx(plain.objectives[-1], rel=1e-6)
    assert piloted.objectives[0] - plain.objectives[-1] < 0.05 * (plain.objectives[0] - plain.objectives[-1])
    assert len(piloted.seconds) <= len(plain.seconds)


@pytest.mark.parametrize("is_cheap", [True, False])
def test_a_hessian_of_all_rows_takes_the_place_of_the_samples_where_it_is_cheap(monkeypatch, is_cheap):
    loss, blocks = LOSSES["logistic"], blocks_for(LOSSES["logistic"])
    monkeypatch.setattr(registry, "CHEAP_HESSIAN", 1e10 if is_cheap else 0.0)
    final, asked = final_stage(loss, blocks, sample_from(blocks, 0.2)), []
    ask = Newton.ask
    monkeypatch.setattr(Newton, "ask", lambda self, state: asked.append(ask(self, state)) or asked[-1])
    assert solve(final).ending.status is Status.CONVERGED
    assert [isinstance(question, HessianQuestion) for question in asked] == [is_cheap] + (len(asked) - 1) * [False]


def test_the_choice_says_that_there_was_a_pilot():
    blocks = blocks_for(LOSSES["logistic"])
    outcome = fit(LOSSES["logistic"], blocks, sample_from(blocks, 0.2))
    assert outcome.last.is_resumed
    assert "it starts from a pilot on 1200 rows" in outcome.result.reason


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
def test_a_named_solver_starts_from_the_null_model(solver):
    blocks = blocks_for(LOSSES["logistic"])
    assert final_stage(LOSSES["logistic"], blocks, sample_from(blocks, 0.2), solver=solver).resumed is None


def test_least_squares_take_two_rounds_without_a_pilot():
    loss, blocks = LOSSES["squared"], blocks_for(LOSSES["squared"])
    outcome = fit(loss, blocks, sample_from(blocks, 0.2))
    assert (outcome.ending.status, len(outcome.seconds)) == (Status.CONVERGED, 2)


def test_no_pilot_on_fewer_rows_than_coefs():
    blocks = blocks_for(LOSSES["logistic"])
    few = [block.take(np.arange(COLUMNS // 2)) for block in blocks]
    assert final_stage(LOSSES["logistic"], blocks, RowSample(LocalRows(few))).resumed is None


def test_a_pilot_that_learned_its_sample_by_heart_is_dropped():
    loss, blocks = LOSSES["logistic"], blocks_for(LOSSES["logistic"])
    others = [replace(block, label=1.0 - block.label) for block in blocks]
    outcome, plain = fit(loss, blocks, sample_from(others, 0.2)), fit(loss, blocks, None)
    assert not outcome.last.is_resumed
    assert "nothing was learned from a pilot on 1200 rows" in outcome.result.reason
    assert outcome.objectives == plain.objectives, "from its first value on it is a fit without pilot"
    assert len(outcome.seconds) == len(plain.seconds) + 1, "the round that showed it"
    assert np.array_equal(outcome.coef, plain.coef)


def test_a_pilot_is_kept_where_the_objective_is_negative():
    """As with large counts, whose Poisson loss lacks the terms in the label alone."""
    loss, random = PoissonLoss(), np.random.default_rng(4)
    features = random.standard_normal((ROWS, COLUMNS))
    label = random.poisson(np.exp(features @ np.full(COLUMNS, 0.05) + 7.0)).astype(float)
    blocks = [Block(DenseFeatures(features), label, np.ones(ROWS))]
    outcome = fit(loss, blocks, sample_from(blocks, 0.2))
    assert outcome.objectives[-1] < 0.0
    assert "it starts from a pilot on 1200 rows" in outcome.result.reason
    assert outcome.objectives[0] - outcome.objectives[-1] < 1e-3 * abs(outcome.objectives[-1])
