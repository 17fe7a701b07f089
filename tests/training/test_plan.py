"""Laws of plans: checkpoints at every round, many side by side, early ends in every stage, one history."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from sparkgd.kernels.local_rows import Rows
from sparkgd.questions import GradientQuestion
from sparkgd.solvers.base import Status
from sparkgd.training import cutting_planes, loop
from sparkgd.training.fit import fit_stages, plan_of
from sparkgd.training.history import Outcome
from sparkgd.training.loop import Record, succeeded, train
from sparkgd.training.plan import Plan, PlanState
from sparkgd.training.rounds import Asked, run_round
from sparkgd.training.solving import Resumption, Solving
from sparkgd.training.stage import Inquiry, Solved
from sparkgd.training.stopping import Stopping
from tests.support.bits import bits
from tests.support.plan_cases import CASES, FEW_BYTES, Case
from tests.support.plans import CountingRows, final_stage

PREPARED = [name for name, case in CASES.items() if len(case.stages) > 1]

every_case = pytest.mark.parametrize("name", CASES)
every_prepared = pytest.mark.parametrize("name", PREPARED)


@pytest.fixture(autouse=True)
def few_rows_kept(monkeypatch):
    """So few that cutting planes take several rounds."""
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", FEW_BYTES)


def told(plan: Plan, state: PlanState) -> PlanState:
    """After a round."""
    return plan.tell(state, run_round([plan.ask(state)])[0])


def ended(plan: Plan, state: PlanState) -> PlanState:
    while plan.stage(state) is not None:
        state = told(plan, state)
    return state


def run(case: Case, callbacks=(), rows: Rows | None = None, max_seconds: float = np.inf, **options) -> Outcome:
    data = case.data(rows)
    plan = plan_of(replace(case.settings(), max_seconds=max_seconds), data)
    return succeeded(train(data.rows, [plan], callbacks, **options)[0])


@every_case
def test_the_stages_are_those_expected(name):
    found = [stage.name for stage in run(CASES[name]).stages]
    assert tuple(dict.fromkeys(found)) == CASES[name].stages
    assert found[-1] == "all rows"


@every_case
def test_a_state_pickled_at_any_round_goes_on_to_the_same_bits(name):
    case = CASES[name]
    data = case.data()
    plan = plan_of(case.settings(), data)
    states = [plan.start()]
    while plan.stage(states[-1]) is not None:
        states.append(told(plan, states[-1]))
    expected = bits(states[-1])
    for state in states:
        elsewhere = plan_of(case.settings(), data)
        resumed = ended(elsewhere, pickle.loads(pickle.dumps(state)))
        assert bits(resumed) == expected
        assert bits(elsewhere.result(resumed).solved) == bits(plan.result(states[-1]).solved)


@every_case
def test_one_that_is_pickled_in_every_round_has_the_same_bits(name):
    case = CASES[name]
    data = case.data()
    state = plan_of(case.settings(), data).start()
    while (plan := plan_of(case.settings(), data)).stage(state) is not None:
        state = pickle.loads(pickle.dumps(told(plan, state)))
    straight = plan_of(case.settings(), data)
    assert bits(state) == bits(ended(straight, straight.start()))


@every_case
def test_a_state_is_frozen_and_telling_leaves_it_alone(name):
    data = CASES[name].data()
    plan = plan_of(CASES[name].settings(), data)
    state = told(plan, plan.start())
    before = bits(state)
    ended(plan, state)
    assert bits(state) == before
    assert bits(ended(plan, state)) == bits(ended(plan, state)), "an earlier state of a plan that went on is as good"


def test_many_plans_have_the_results_of_each_alone_and_share_every_round_over_all_rows():
    case = CASES["pilot"]
    rows = CountingRows(case.blocks())
    kinds = [
        replace(case, solver=solver, share=share, strength=strength, held_out=held_out)
        for solver, share in (("auto", 0.2), ("auto", None), ("l-bfgs", None))
        for strength in (1e-3, 1e-1)
        for held_out in (-1, 1)
    ]
    records: list[Record] = []
    together = train(rows, [plan_of(kind.settings(), kind.data(rows)) for kind in kinds], [records.append])
    alone = [run(kind) for kind in kinds]
    for mine, other in zip(together, alone, strict=True):
        assert mine.ending.status is other.ending.status is Status.CONVERGED
        assert mine.iterations == other.iterations
        assert [(s.name, s.rounds) for s in mine.stages] == [(s.name, s.rounds) for s in other.stages]
        assert mine.result.reason == other.result.reason
        np.testing.assert_allclose(mine.coef, other.coef, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(mine.objectives, other.objectives, rtol=1e-9)
    assert {"pilot", "Gram matrix", "all rows"} <= {record.stage for record in records}
    assert len(rows.descriptions) == max(len(outcome.seconds) for outcome in together)
    assert "(and 11 more models)" in rows.descriptions[0], "all pilots have ended before the first of these rounds"


def judged(case: Case, rows: Rows, solver: str, max_seconds: float = np.inf) -> Plan:
    """A fit, and a question about its result."""
    fitting = replace(case, solver=solver)
    settings, data = replace(fitting.settings(), max_seconds=max_seconds), fitting.data(rows)

    def stages():
        fitted = yield from fit_stages(settings, data)
        question = GradientQuestion(np.zeros((1, fitted.problem.layout.size)))
        value = yield Inquiry("metric", Asked(fitted.problem, question, data.rows), can_wait=True)
        return fitted, value

    return Plan(stages, solver, settings.stopping.max_iterations, max_seconds)


def test_questions_about_results_are_answered_in_one_round_at_the_end():
    rows, records = CountingRows(CASES["pilot"].blocks()), []
    plans = [judged(CASES["pilot"], rows, solver) for solver in ("newton", "l-bfgs", "gd")]
    outcomes = [succeeded(each) for each in train(rows, plans, [records.append])]
    assert len({outcome.iterations for outcome in outcomes}) == 3, "they do not end together"
    assert all(outcome.ending.status is Status.CONVERGED for outcome in outcomes)
    assert [": metric" in each for each in rows.descriptions] == [False] * (len(rows.descriptions) - 1) + [True]
    assert "(and 2 more models)" in rows.descriptions[-1]
    for number, outcome in enumerate(outcomes):
        mine = [record for record in records if record.model == number]
        assert [record.ending is None for record in mine] == [True] * (len(mine) - 1) + [False]
        assert {record.stage for record in mine} <= {stage.name for stage in outcome.stages} - {"metric"}
        assert [stage.name for stage in outcome.stages][-1] == "metric"
        assert np.isfinite(outcome.result[1].values).all()


def test_a_round_is_about_so_many_results_at_most(monkeypatch):
    monkeypatch.setattr(loop, "TOGETHER", 2)
    rows = CountingRows(CASES["pilot"].blocks())
    outcomes = train(rows, [judged(CASES["pilot"], rows, "newton") for _ in range(5)])
    last = [each for each in rows.descriptions if ": metric" in each]
    assert last == rows.descriptions[-3:]
    assert ["(and 1 more models)" in each for each in last] == [True, True, False]
    assert all(np.isfinite(succeeded(each).result[1].values).all() for each in outcomes)


def test_who_waits_to_be_judged_has_ended_whatever_happens_until_then():
    rows = CountingRows(CASES["pilot"].blocks())
    plans = [judged(CASES["pilot"], rows, "newton"), judged(CASES["pilot"], rows, "gd")]
    records: list[Record] = []

    def interrupt(record: Record) -> None:
        records.append(record)
        if record.model == 1 and any(each.ending is not None for each in records):
            raise KeyboardInterrupt

    newton, gd = (succeeded(each) for each in train(rows, plans, [interrupt], keep_on_interrupt=True))
    assert newton.ending.status is Status.CONVERGED
    assert gd.ending.status is Status.STOPPED_EARLY
    assert all(np.isfinite(outcome.result[1].values).all() for outcome in (newton, gd))


def test_a_time_budget_that_passes_while_a_fit_waits_to_be_judged_is_not_its_end():
    rows = CountingRows(CASES["pilot"].blocks())
    plans = [judged(CASES["pilot"], rows, "newton", max_seconds=1e3), judged(CASES["pilot"], rows, "gd")]
    passed: list[Record] = []

    def pass_the_time(record: Record) -> None:
        if record.ending is not None and not passed:
            plans[0].max_seconds = 0.0
            passed.append(record)

    newton, gd = (succeeded(each) for each in train(rows, plans, [pass_the_time]))
    assert passed[0].model == 0
    assert newton.ending.status is gd.ending.status is Status.CONVERGED
    assert all(np.isfinite(outcome.result[1].values).all() for outcome in (newton, gd))


def objective_at(case: Case, coef: np.ndarray) -> float:
    """By a plain formula, of the rows trained on."""
    total = weights = 0.0
    for block in case.blocks():
        value, _ = case.loss.value_and_derivative(block.label, block.features.dot(coef[:-1]) + coef[-1])
        used = block.training_weight(case.held_out)
        total, weights = total + float(used @ value), weights + float(used.sum())
    return total / weights + 0.5 * case.strength * float(coef[:-1] @ coef[:-1])


def assert_evaluated(case: Case, outcome: Outcome, status: Status) -> None:
    assert outcome.ending.status is status
    assert outcome.last.is_halted
    assert np.isfinite(outcome.objective)
    assert outcome.objective == pytest.approx(objective_at(case, outcome.coef), rel=1e-10)
    assert outcome.stages[-1].name == "all rows"


@pytest.mark.parametrize(("name", "stage"), [(name, stage) for name in PREPARED for stage in CASES[name].stages[:-1]])
def test_a_callback_ends_the_fit_in_any_stage_with_an_evaluated_point(name, stage):
    case, records = CASES[name], []
    outcome = run(case, [records.append, lambda record: record.stage == stage])
    assert_evaluated(case, outcome, Status.STOPPED_EARLY)
    assert outcome.ending.reason == "a callback asked to stop"
    assert outcome.iterations == 0
    asked_at = next(i for i, record in enumerate(records) if record.stage == stage)
    later = [record.stage for record in records[asked_at + 1 :]]
    assert all(name != stage or len(case.stages) == 5 for name in later), "a stage over few rows is cut short"
    assert len(later) < 8, "what is left are single questions and the first evaluation"


@every_case
def test_the_time_budget_ends_the_fit_in_any_stage_with_an_evaluated_point(name):
    case, records = CASES[name], []
    outcome = run(case, [records.append], max_seconds=1e-9)
    assert_evaluated(case, outcome, Status.MAX_SECONDS)
    assert outcome.iterations <= 1
    assert len(records) < 8


def test_a_pilot_that_is_cut_short_is_where_the_fit_starts():
    case = CASES["pilot"]
    plain, stopped = run(replace(case, share=None)), run(case, [lambda record: record.preparing is not None
                                                               and record.preparing.iteration == 2])  # fmt: skip
    assert plain.objectives[-1] < stopped.objective < plain.objectives[0]
    assert stopped.last.is_resumed


@every_prepared
def test_all_stages_share_one_history_and_callbacks_see_each_round(name):
    records: list[Record] = []
    outcome = run(CASES[name], [records.append])
    assert [record.round for record in records] == list(range(1, len(records) + 1))
    by_stage = [(stage, len(list(group))) for stage, group in groupby(record.stage for record in records)]
    assert by_stage == [(stage.name, stage.rounds) for stage in outcome.stages]
    local = {stage.name for stage in outcome.stages if stage.is_local}
    assert [record.seconds for record in records if record.stage not in local] == outcome.seconds
    assert sum(record.seconds for record in records if record.stage in local) == pytest.approx(outcome.local_seconds)
    preparing, final = [[r for r in records if (r.stage == "all rows") == is_final] for is_final in (False, True)]
    assert all(r.iteration == -1 and np.isnan(r.objective) and np.isnan(r.gradient_norm) for r in preparing)
    assert [r.objective for r in final][-1] == outcome.objectives[-1]
    assert final[-1].iteration == outcome.iterations


def test_a_stage_over_few_rows_tells_how_far_it_is():
    records: list[Record] = []
    run(CASES["pilot"], [records.append])
    pilot = [record.preparing for record in records if record.preparing is not None]
    assert [solved.iteration for solved in pilot] == sorted(solved.iteration for solved in pilot)
    assert pilot[0].iteration == 0
    assert pilot[-1].objectives[-1] < pilot[0].objectives[0]
    assert all(record.preparing is None for record in records if record.stage == "all rows")


def test_several_stages_over_all_rows_are_one_history():
    case = CASES["plain"]
    first = final_stage(case.settings(), case.data())

    def stages():
        start: Solved = yield replace(first, stopping=Stopping(2, 0.0))
        end: Solved = yield replace(first, start_coef=start.coef)
        return start, end

    records: list[Record] = []
    outcome = train(first.rows, [Plan(stages)], [records.append])[0]
    start, end = outcome.result
    assert outcome.objectives == [*start.objectives, *end.objectives]
    assert outcome.iterations == start.iteration + end.iteration == records[-1].iteration
    assert end.objectives[0] == pytest.approx(start.objectives[-1], rel=1e-12)
    assert outcome.ending is end.ending
    np.testing.assert_array_equal(outcome.coef, end.coef)
    assert [record.iteration for record in records] == sorted(record.iteration for record in records)


def test_a_stage_that_starts_where_another_ended_is_dropped_if_it_promised_too_much():
    case = CASES["plain"]
    first: Solving = final_stage(case.settings(), case.data())
    asked = Asked(first.problem, GradientQuestion(first.problem.point(first.start_coef)[None, :]), first.rows)
    value = float(run_round([asked])[0].reply.values[0])
    for share, is_kept in ((1.01, True), (0.99, False)):

        def stages(limit=share * value):
            state = first.solver.start(first.problem.point(first.start_coef))
            return (yield replace(first, resumed=Resumption(state, limit)))

        outcome = train(first.rows, [Plan(stages)])[0]
        assert outcome.last.is_resumed == is_kept
        assert outcome.ending.status is Status.CONVERGED
