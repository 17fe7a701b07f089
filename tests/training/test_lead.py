"""Leads: models of all rows that those of its folds follow, to their own optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import InvalidParamError
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import HingeLoss, LogisticLoss, Loss, MultinomialLoss, PoissonLoss, QuantileLoss, SquaredLoss
from sparkgd.penalties import ElasticNet, Penalty
from sparkgd.questions.hessian import HessianKernel
from sparkgd.solvers.base import Ending, Status
from sparkgd.solvers.newton import Newton
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training import lead as leading
from sparkgd.training.fit import plan_of
from sparkgd.training.history import Outcome
from sparkgd.training.lead import lead_plans, refined_plan
from sparkgd.training.loop import findings, succeeded, train
from sparkgd.training.outline import Outline, TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.plans import CountingRows, leads_of, sample_from, training_set

ROWS, COLUMNS, FOLDS = 600, 5, 3
STRENGTHS = (1.0, 1e-2, 1e-4)


@dataclass(frozen=True)
class Rows:
    """Rows in folds 0, 1 and 2, with a label that suits a loss."""

    loss: Loss
    count: int = ROWS
    share: float | None = None

    def blocks(self) -> list[Block]:
        random = np.random.default_rng(2)
        features = random.standard_normal((self.count, COLUMNS)) * np.geomspace(0.1, 10.0, COLUMNS)
        raw = features @ (random.standard_normal((COLUMNS, 3)) / np.geomspace(0.1, 10.0, COLUMNS)[:, None])
        noisy = raw + random.gumbel(size=raw.shape)
        label = {
            "multinomial": noisy.argmax(axis=1),
            "poisson": random.poisson(np.exp(0.5 * raw[:, 0])),
            "squared": noisy[:, 0],
            "quantile": noisy[:, 0],
        }.get(self.loss.name, noisy[:, 0] > 0.5)
        weight, fold = random.choice([0.5, 1.0, 2.0], self.count), (np.arange(self.count) % FOLDS).astype(np.uint8)
        parts = np.array_split(np.arange(self.count), 2)
        label = np.asarray(label, dtype=float)
        return [Block(DenseFeatures(features[p]), label[p], weight[p], None, fold[p], int(p[0])) for p in parts]

    def data(self, held_out: int = -1, rows: CountingRows | None = None) -> TrainingSet:
        blocks = self.blocks()
        sample = None if self.share is None else sample_from(blocks, self.share)
        return training_set(blocks, held_out, sample, rows)


def settings(loss: Loss, strength: float = 1e-2, l1: float = 0.0, **options) -> FitSettings:
    def penalty(statistics: Statistics, outputs: int) -> Penalty:
        count = outputs * len(statistics.mean)
        return ElasticNet(np.full(count, l1), np.full(count, strength))

    given = {"solver": SolverSettings("auto"), "stopping": Stopping(200, 1e-9)} | options
    return FitSettings(loss, penalty, True, False, **given)


def fits(several: Sequence[FitSettings], data: TrainingSet) -> list[Outcome]:
    return [succeeded(found) for found in train(data.rows, [plan_of(each, data) for each in several])]


CASES = {
    "logistic": (LogisticLoss(), 0.0, "newton"),
    "logistic with L1": (LogisticLoss(), 1e-2, "newton"),
    "multinomial": (MultinomialLoss(3), 0.0, "newton"),
    "poisson": (PoissonLoss(), 0.0, "newton"),
    "squared": (SquaredLoss(), 0.0, "newton"),
    "squared with L1": (SquaredLoss(), 1e-1, "newton"),
}


@pytest.mark.parametrize("share", [None, 0.4], ids=["lead of all rows", "lead of a sample"])
@pytest.mark.parametrize("case", CASES)
def test_a_fold_that_follows_ends_at_its_own_optimum(case, share):
    loss, l1, solver = CASES[case]
    rows = Rows(loss, 3 * ROWS, share)
    several = [settings(loss, strength, l1) for strength in STRENGTHS]
    leads = leads_of(several, rows.data())
    assert sorted(leads) == [0, 1, 2]
    for fold in range(FOLDS):
        apart = [replace(each, held_out=fold, chooses_by_held_out=False) for each in several]
        following = [replace(each, lead=leads[number]) for number, each in enumerate(apart)]
        data = rows.data(held_out=fold)
        for mine, alone in zip(fits(following, data), fits(apart, data), strict=True):
            assert mine.ending.status is alone.ending.status is Status.CONVERGED
            assert mine.result.choice.name == alone.result.choice.name == solver
            assert "lead on" in mine.result.origin
            assert "lead" not in alone.result.origin
            assert mine.objectives[-1] == pytest.approx(alone.objectives[-1], rel=1e-8)
            weights = [found.result.problem.layout.weights(found.coef) for found in (mine, alone)]
            np.testing.assert_allclose(*weights, rtol=1e-3, atol=1e-4)


def test_folds_that_follow_need_fewer_rounds_than_alone():
    rows = Rows(LogisticLoss())
    several = [settings(LogisticLoss(), strength, stopping=Stopping(200, 1e-6)) for strength in STRENGTHS]
    leads = leads_of(several, rows.data())
    apart = [replace(each, held_out=1, chooses_by_held_out=False) for each in several]
    following = [replace(each, lead=leads[number]) for number, each in enumerate(apart)]
    counts = [sum(len(found.seconds) for found in fits(each, rows.data(1))) for each in (following, apart)]
    assert counts[0] < counts[1]


def test_leads_by_newton_are_one_plan_in_which_each_starts_where_the_last_one_ended():
    data = Rows(LogisticLoss()).data()
    several = [settings(LogisticLoss(), strength) for strength in STRENGTHS]
    plans = lead_plans(several, data)
    assert list(plans) == [0]
    leads = leads_of(several, data)
    assert {lead.choice.name for lead in leads.values()} == {"newton"}
    first_alone = [leads_of([each], data)[0].solved.objectives[0] for each in several]
    first = [leads[number].solved.objectives[0] for number in range(len(several))]
    assert first[0] == first_alone[0]
    assert all(chained < alone for chained, alone in zip(first[1:], first_alone[1:], strict=True))


@pytest.mark.parametrize("l1", [0.0, 0.02], ids=["L2", "L1"])
def test_leads_of_near_penalties_go_on_with_one_hessian(l1):
    """Each ends as near to its own optimum as one alone, after fewer Hessians; far ones sum their own."""
    counts = {}
    for name, ratio in {"near": 0.9, "far": 0.05}.items():
        rows = CountingRows(Rows(LogisticLoss()).blocks())
        data = Rows(LogisticLoss()).data(rows=rows)
        powers = ratio ** np.arange(6)
        several = [settings(LogisticLoss(), 0.1 * power, l1 * power) for power in powers]
        leads = leads_of(several, data)
        counts[name] = sum(isinstance(kernel, HessianKernel) for kernel in rows.kernels)
        assert len({id(lead.summed_under) for lead in leads.values()}) == (1 if name == "near" else 6)
        for number, found in enumerate(fits(several, data)):
            best, end = found.objectives[-1], leads[number].solved.objectives[-1]
            assert best - 1e-12 <= end <= best + 10 * leading.LEAD_TOL * abs(best)
    assert counts["near"] <= 4
    assert counts["far"] >= 6


@pytest.mark.parametrize(("l1", "together"), [(0.0, 4), (0.02, 2)], ids=["curvatures", "kinks"])
def test_a_lead_far_from_the_hessian_that_it_goes_on_with_sums_its_own(l1, together):
    """Of curvatures a ratio of four is far, of kinks one of two."""
    data = Rows(LogisticLoss()).data()
    powers = 0.7 ** np.arange(6)
    leads = leads_of([settings(LogisticLoss(), 0.1 * power, l1 * power) for power in powers], data)
    anchors = [float(leads[number].summed_under.smooth_curvature(COLUMNS + 1)[0]) for number in range(6)]
    np.testing.assert_allclose(anchors, [0.1 * powers[number - number % together] for number in range(6)])


def test_what_a_newton_state_is_stiffened_by_is_about_its_active_entries():
    solver = Newton()
    start = solver.start(np.zeros(3))
    change = np.arange(9.0).reshape(3, 3)
    assert solver.stiffened(start, change) is start
    known = replace(start, active=np.array([0, 2]), hessian=np.eye(2))
    np.testing.assert_array_equal(solver.stiffened(known, change).hessian, [[1.0, 2.0], [6.0, 9.0]])


def test_who_follows_alone_ends_where_those_in_company_do():
    rows = Rows(LogisticLoss(), 3 * ROWS, 0.4)
    lead = leads_of([settings(LogisticLoss())], rows.data())[0]
    apart = replace(settings(LogisticLoss()), held_out=1, chooses_by_held_out=False)
    ends, hessians = [], []
    for has_company in (True, False):
        counting = CountingRows(rows.blocks())
        chosen = replace(apart, lead=replace(lead, has_company=has_company))
        ends += fits([chosen], rows.data(1, counting))
        hessians.append(sum(isinstance(kernel, HessianKernel) for kernel in counting.kernels))
    assert ends[0].objective == pytest.approx(ends[1].objective, rel=1e-9)
    assert hessians[0] < hessians[1], "gradients are cheap in company only"


def test_leads_of_other_solvers_are_plans_of_their_own_and_share_rounds(monkeypatch):
    monkeypatch.setattr("sparkgd.training.auto.NEWTON_SIZE", 1)
    rows = CountingRows(Rows(LogisticLoss()).blocks())
    data = Rows(LogisticLoss()).data(rows=rows)
    several = [settings(LogisticLoss(), strength) for strength in STRENGTHS]
    assert list(lead_plans(several, data)) == [0, 1, 2]
    leads = leads_of(several, data)
    assert {lead.choice.name for lead in leads.values()} == {"l-bfgs"}
    assert "(and 2 more models)" in rows.descriptions[0]


def test_models_of_other_losses_do_not_start_where_each_other_ended():
    data = Rows(LogisticLoss()).data()
    mixed = [settings(LogisticLoss()), settings(SquaredLoss())]
    leads = leads_of(mixed, data)
    for number, each in enumerate(mixed):
        assert leads[number].solved.objectives[0] == leads_of([each], data)[0].solved.objectives[0]


WITHOUT_LEAD = {
    "a named solver": settings(LogisticLoss(), solver=SolverSettings("newton")),
    "a start": settings(LogisticLoss(), start=(np.zeros((1, COLUMNS)), None)),
    "patience": settings(LogisticLoss(), stopping=Stopping(100, 1e-6, patience=3)),
    "hinge": settings(HingeLoss()),
    "quantile": settings(QuantileLoss(0.5)),
}


@pytest.mark.parametrize("case", WITHOUT_LEAD)
def test_who_has_no_lead(case):
    chosen = WITHOUT_LEAD[case]
    data = Rows(chosen.loss).data()
    assert lead_plans([chosen], data) == {}
    others = [settings(LogisticLoss()), chosen, settings(LogisticLoss(), 1.0)]
    assert sorted(leads_of(others, data)) == [0, 2], "but others do"


def refused_penalty(_, outputs: int) -> Penalty:
    """One that is refused as soon as the columns are known."""
    raise InvalidParamError("no such penalty")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_member_that_is_refused_leaves_the_others(place):
    data = Rows(LogisticLoss()).data()
    several = [settings(LogisticLoss(), strength) for strength in STRENGTHS]
    several[place] = replace(several[place], penalty=refused_penalty)
    assert sorted(leads_of(several, data)) == sorted({0, 1, 2} - {place})


def test_a_member_that_is_refused_later_leaves_the_others(monkeypatch):
    genuine = leading.outlined

    def refusing(each, data):
        if each.name == "refused":
            raise InvalidParamError("refused once the rows are known")
        return (yield from genuine(each, data))

    monkeypatch.setattr(leading, "outlined", refusing)
    several = [replace(settings(LogisticLoss()), name=name) for name in ("first", "refused", "last")]
    assert sorted(leads_of(several, Rows(LogisticLoss()).data())) == [0, 2]


def test_one_that_diverged_is_nobodys_lead(monkeypatch):
    data = Rows(LogisticLoss()).data()
    several = [settings(LogisticLoss(), strength) for strength in STRENGTHS]
    monkeypatch.setattr(Outline, "preparing", _diverging_first(Outline.preparing))
    leads = leads_of(several, data)
    assert sorted(leads) == [1, 2]
    monkeypatch.undo()
    first = leads_of(several[1:], data)[0]
    assert leads[1].solved.objectives[0] == first.solved.objectives[0], "the next does not start where it diverged"


def _diverging_first(preparing):
    """``Outline.preparing``, the first of whose solvers says after its first answer that it diverged."""
    is_first = [True]

    def prepared(outline, *args, **changes):
        stage = preparing(outline, *args, **changes)
        if is_first:
            is_first.clear()
            tell = stage.solver.tell
            ending = Ending(Status.DIVERGED, "by order of the test")
            object.__setattr__(stage.solver, "tell", lambda state, reply: replace(tell(state, reply), ending=ending))
        return stage

    return prepared


def test_a_lead_suits_models_of_its_own_layout():
    data = Rows(LogisticLoss()).data()
    lead = leads_of([settings(LogisticLoss())], data)[0]
    assert lead.space_for(CoefLayout(COLUMNS, 1), data.statistics) is not None
    assert lead.space_for(CoefLayout(COLUMNS, 1), Rows(LogisticLoss()).data(held_out=1).statistics) is not None
    assert lead.space_for(CoefLayout(COLUMNS, 3), data.statistics) is None
    assert lead.space_for(CoefLayout(COLUMNS, 1, fit_intercept=False), data.statistics) is None


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
def test_leads_of_a_sample_are_trained_on_all_rows_side_by_side(solver, monkeypatch):
    if solver == "l-bfgs":
        monkeypatch.setattr("sparkgd.training.auto.NEWTON_SIZE", 1)
    rows = Rows(LogisticLoss(), 3 * ROWS, 0.4)
    counting = CountingRows(rows.blocks())
    several = [settings(LogisticLoss(), strength) for strength in STRENGTHS]
    leads = leads_of(several, rows.data())
    data = rows.data(rows=counting)
    led = [replace(each, lead=leads[number]) for number, each in enumerate(several)]
    refined = findings(counting, [refined_plan(each, data) for each in led])
    assert "(and 2 more models)" in counting.descriptions[0]
    for number, alone in enumerate(fits(several, data)):
        lead = refined[number]
        assert lead.is_of_all
        assert lead.sampled_rows == 3 * ROWS
        best, end = alone.objectives[-1], lead.solved.objectives[-1]
        assert best - 1e-12 <= end <= best + leading.LEAD_TOL * abs(best)
        coefs = [each.solved.coef - alone.coef for each in (lead, leads[number])]
        assert np.linalg.norm(coefs[0]) < 0.2 * np.linalg.norm(coefs[1])


def test_a_lead_that_diverges_on_all_rows_stays_that_of_a_sample(monkeypatch):
    rows = Rows(LogisticLoss(), 3 * ROWS, 0.4)
    lead = leads_of([settings(LogisticLoss())], rows.data())[0]
    monkeypatch.setattr("sparkgd.training.solving._runs_away", lambda objectives: True)
    data = rows.data()
    assert findings(data.rows, [refined_plan(settings(LogisticLoss(), lead=lead), data)]) == [lead]


@pytest.mark.parametrize("columns", [COLUMNS, 40], ids=["newton", "l-bfgs"])
@pytest.mark.parametrize("constant", [0.0, 3.0])
def test_a_fold_without_which_a_column_is_constant_follows_too(columns, constant, monkeypatch):
    """The lead's coordinates hold that column's weight at zero; the model is that of a fit alone."""
    if columns == 40:
        monkeypatch.setattr("sparkgd.training.auto.NEWTON_SIZE", 10)
    rng = np.random.default_rng(4)
    features, fold = rng.normal(size=(300, columns)), np.arange(300) % 3
    features[:, 1] = np.where(fold == 1, features[:, 1], constant)
    label = (features[:, 0] + features[:, 1] + rng.logistic(size=300) > 0).astype(float)
    block = Block(DenseFeatures(features), label, np.ones(300), fold=fold.astype(np.uint8))
    lead = leads_of([settings(LogisticLoss())], training_set([block]))[0]
    plain = replace(settings(LogisticLoss()), held_out=1, chooses_by_held_out=False)
    data = training_set([block], held_out=1)
    alone, following = fits([plain], data)[0], fits([replace(plain, lead=lead)], data)[0]
    assert following.result.origin.startswith("a lead")
    assert following.objective == pytest.approx(alone.objective, rel=1e-10)
    np.testing.assert_allclose(following.coef, alone.coef, atol=1e-5)
    assert following.coef[1] == 0.0


def test_a_model_that_its_lead_does_not_suit_is_trained_as_if_it_had_none():
    rows = Rows(LogisticLoss())
    lead = leads_of([settings(LogisticLoss())], rows.data())[0]
    plain = replace(settings(LogisticLoss()), fit_intercept=False, held_out=1, chooses_by_held_out=False)
    alone, following = fits([plain], rows.data(1))[0], fits([replace(plain, lead=lead)], rows.data(1))[0]
    np.testing.assert_array_equal(following.coef, alone.coef)
    assert following.objectives == alone.objectives
    assert "lead" not in following.result.origin


def test_a_lead_of_a_sample_that_promised_too_much_is_dropped():
    loss = LogisticLoss()
    rows = Rows(loss, 3 * ROWS)
    blocks = rows.blocks()
    others = [replace(block, label=1.0 - block.label) for block in blocks]
    lead = leads_of([settings(loss)], training_set(blocks, sample=sample_from(others, 0.4)))[0]
    assert not lead.is_of_all
    plain = replace(settings(loss), held_out=1, chooses_by_held_out=False)
    alone, following = fits([plain], rows.data(1))[0], fits([replace(plain, lead=lead)], rows.data(1))[0]
    assert following.result.is_dropped
    assert "nothing was learned from a lead" in following.result.reason
    assert following.objectives[-1] == pytest.approx(alone.objectives[-1], rel=1e-8)
