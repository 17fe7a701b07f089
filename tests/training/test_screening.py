"""Screening: fits under L1 that follow a lead are made over few columns, and end where those over all of them do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.among import AmongKernel
from sparkgd.losses import LogisticLoss, Loss, MultinomialLoss
from sparkgd.penalties import ElasticNet, Penalty
from sparkgd.solvers.base import Ending, Status
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.fit import fit_stages, plan_of
from sparkgd.training.history import Kept, Outcome
from sparkgd.training.legs import pausing
from sparkgd.training.loop import succeeded, train
from sparkgd.training.plan import Plan
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.blocks import csr
from tests.support.plans import CountingRows, leads_of, training_set

ROWS, COLUMNS = 400, 300
STRENGTHS = (0.08, 0.04, 0.02)


@pytest.fixture(autouse=True)
def no_newton(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the columns were too many for a Hessian, even of those that matter."""
    for module in ("auto", "few_weights"):
        monkeypatch.setattr(f"sparkgd.training.{module}.NEWTON_SIZE", 1)


def block_of(loss: Loss) -> Block:
    random = np.random.default_rng(8)
    features = random.standard_normal((ROWS, COLUMNS)) * (random.random((ROWS, COLUMNS)) < 0.3)
    raw = features[:, :9] @ random.standard_normal((9, loss.num_outputs)) + random.gumbel(size=(ROWS, loss.num_outputs))
    label = (raw[:, 0] > 0.5 if loss.num_outputs == 1 else raw.argmax(axis=1)).astype(float)
    return Block(csr(features), label, np.ones(ROWS), None, (np.arange(ROWS) % 3).astype(np.uint8))


def settings(loss: Loss, strength: float, ridge: float = 0.0, **options) -> FitSettings:
    def penalty(statistics: Statistics, outputs: int) -> Penalty:
        count = outputs * len(statistics.mean)
        return ElasticNet(np.full(count, strength), np.full(count, ridge))

    given = {"solver": SolverSettings("auto"), "stopping": Stopping(500, 1e-8)} | options
    return FitSettings(loss, penalty, True, False, **given)


def fits(several: list[FitSettings], block: Block, fold: int = -1) -> tuple[list[Outcome], CountingRows]:
    rows = CountingRows([block])
    data = training_set([block], fold, rows=rows)
    return [succeeded(found) for found in train(data.rows, [plan_of(each, data) for each in several])], rows


def narrow(rows: CountingRows) -> list[AmongKernel]:
    return [kernel for kernel in rows.kernels if isinstance(kernel, AmongKernel)]


@pytest.mark.parametrize("fold", [-1, 1], ids=["all rows", "a fold left out"])
@pytest.mark.parametrize("ridge", [0.0, 0.01], ids=["L1", "elastic net"])
@pytest.mark.parametrize("loss", [LogisticLoss(), MultinomialLoss(3)], ids=lambda loss: loss.name)
def test_the_optimum_is_that_of_all_columns(loss, ridge, fold):
    block = block_of(loss)
    several = [settings(loss, strength, ridge) for strength in STRENGTHS]
    leads = leads_of(several, training_set([block]))
    apart = [replace(each, held_out=fold, chooses_by_held_out=False) for each in several]
    mine, rows = fits([replace(each, lead=leads[number]) for number, each in enumerate(apart)], block, fold)
    others, all_columns = fits(apart, block, fold)
    assert narrow(rows)
    assert max(len(kernel.columns) for kernel in narrow(rows)) <= COLUMNS / 2
    assert not narrow(all_columns), "without a lead there is nothing to go by"
    for outcome, alone in zip(mine, others, strict=True):
        assert outcome.ending.status is Status.CONVERGED
        assert outcome.result.choice.name == alone.result.choice.name == "owlqn"
        assert len(outcome.coef) == len(alone.coef)
        assert outcome.objective == pytest.approx(alone.objective, rel=1e-8)
        weights = [each.coef[: loss.num_outputs * COLUMNS] for each in (outcome, alone)]
        np.testing.assert_allclose(*weights, atol=2e-4)
        assert np.count_nonzero(outcome.coef) < COLUMNS / 2


def test_models_of_nearly_as_many_columns_share_a_product():
    block = block_of(LogisticLoss())
    several = [settings(LogisticLoss(), 0.04 * 0.99**number) for number in range(6)]
    leads = leads_of(several, training_set([block]))
    _, rows = fits([replace(each, lead=leads[number]) for number, each in enumerate(several)], block)
    assert len(narrow(rows)[0].kernel.points) >= 3


@pytest.mark.parametrize("known", [True, False], ids=["from its weights", "from zero"])
def test_columns_that_should_not_have_been_left_out_are_found(known):
    """A lead whose slopes are all told to be small leaves out every column that has no weight yet."""
    block = block_of(LogisticLoss())
    chosen = settings(LogisticLoss(), STRENGTHS[2])
    lead = leads_of([settings(LogisticLoss(), STRENGTHS[0])], training_set([block]))[0]
    state = lead.solved.solver
    point = state.point if known else np.zeros_like(state.point)
    wrong = replace(state, point=point, gradient=np.zeros_like(state.gradient))
    lead = replace(lead, solved=replace(lead.solved, solver=wrong))
    mine, rows = fits([replace(chosen, lead=lead)], block)
    alone, _ = fits([chosen], block)
    assert mine[0].objective == pytest.approx(alone[0].objective, rel=1e-8)
    np.testing.assert_allclose(mine[0].coef, alone[0].coef, atol=2e-4)
    counts = [len(kernel.columns) for kernel in narrow(rows)]
    assert counts[0] < counts[-1], "more columns than at first"
    assert mine[0].objectives == sorted(mine[0].objectives, reverse=True), "one history, whatever the columns"
    assert mine[0].iterations == len(mine[0].objectives) - len(
        [each for each in mine[0].stages if each.name == "columns left out"]
    )


def test_where_most_columns_matter_none_is_left_out():
    block = block_of(LogisticLoss())
    weak = settings(LogisticLoss(), 1e-4)
    lead = leads_of([weak], training_set([block]))[0]
    mine, rows = fits([replace(weak, lead=lead)], block)
    assert mine[0].ending.status is Status.CONVERGED
    assert not narrow(rows)


def test_constant_columns_are_always_left_out():
    block = block_of(LogisticLoss())
    features = block.features.dense()
    features[:, 40:] = 0.0
    features[:, 41] = 3.0
    block = replace(block, features=csr(features))
    chosen = settings(LogisticLoss(), STRENGTHS[0])
    mine, rows = fits([replace(chosen, lead=leads_of([chosen], training_set([block]))[0])], block)
    assert mine[0].ending.status is Status.CONVERGED
    assert narrow(rows)
    assert all(kernel.columns.max() < 40 for kernel in narrow(rows))


def test_a_limit_of_iterations_is_kept():
    block = block_of(LogisticLoss())
    tight = settings(LogisticLoss(), STRENGTHS[2], stopping=Stopping(3, 1e-12))
    lead = leads_of([settings(LogisticLoss(), STRENGTHS[0])], training_set([block]))[0]
    mine, rows = fits([replace(tight, lead=lead)], block)
    assert mine[0].ending == Ending(Status.MAX_ITERATIONS, "maxIter=3 reached before convergence")
    assert mine[0].iterations == 3
    assert narrow(rows)


def test_a_fit_that_pauses_goes_on_with_the_same_bits():
    block = block_of(LogisticLoss())
    chosen = settings(LogisticLoss(), STRENGTHS[1])
    chosen = replace(chosen, lead=leads_of([chosen], training_set([block]))[0])
    data = training_set([block])
    whole = succeeded(train(data.rows, [Plan(lambda: fit_stages(chosen, data))])[0])
    paused = succeeded(train(data.rows, [Plan(lambda: pausing(fit_stages(chosen, data), 2))])[0])
    fitted, state = paused.result
    assert fitted.solved.iteration == 2
    begun = Kept(state, paused.rounds, ())
    rest = succeeded(train(data.rows, [Plan(lambda: fit_stages(chosen, data), begun=begun)])[0])
    assert rest.coef.tobytes() == whole.coef.tobytes()
    assert rest.objectives == whole.objectives


def test_alone_and_again_the_bits_are_the_same():
    block = block_of(LogisticLoss())
    chosen = settings(LogisticLoss(), STRENGTHS[1])
    chosen = replace(chosen, lead=leads_of([chosen], training_set([block]))[0])
    first, second = (fits([chosen], block)[0][0] for _ in range(2))
    assert first.coef.tobytes() == second.coef.tobytes()
