"""Laws of fits in legs: the same bits and rounds as in one go, and at each pause what a halted fit would have found."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.local_rows import Rows
from sparkgd.losses import LogisticLoss
from sparkgd.solvers.base import Status
from sparkgd.training import cutting_planes
from sparkgd.training.fit import fit_stages, plan_of
from sparkgd.training.history import Kept, Outcome
from sparkgd.training.legs import pausing
from sparkgd.training.loop import Record, succeeded, train
from sparkgd.training.plan import Plan
from tests.support.bits import bits
from tests.support.plan_cases import CASES, FEW_BYTES, Case
from tests.support.plans import CountingRows

STEPS = {
    name: Case(LogisticLoss(), 300, 4, ("all rows",), name, held_out=1)
    for name in ("gd", "nesterov", "l-bfgs", "sgd", "localSVRG", "newton")
}
"""Solvers that a user names; a fold of the rows is left out."""


@pytest.fixture(autouse=True)
def few_rows_kept(monkeypatch):
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", FEW_BYTES)


def leg(case: Case, iterations: int, before: Outcome | None = None, rows: Rows | None = None, callbacks=()) -> Outcome:
    """A fit as far as some iterations, from where the one before paused."""
    settings, data = case.settings(), case.data(rows)
    begun = None if before is None else Kept(before.result[1], before.rounds, ())
    plan = Plan(lambda: pausing(fit_stages(settings, data), iterations), begun=begun)
    return succeeded(train(data.rows, [plan], callbacks)[0])


def whole(case: Case) -> Outcome:
    data = case.data(None)
    return succeeded(train(data.rows, [plan_of(case.settings(), data)])[0])


def told(outcome: Outcome) -> tuple:
    """What must not depend on pauses."""
    rounds = [(each.name, each.rounds, each.is_local) for each in outcome.rounds]
    numbers = outcome.objectives, outcome.gradient_norms, outcome.held_out_losses, outcome.objective
    return bits(outcome.coef), bits(np.concatenate([np.ravel(each) for each in numbers])), outcome.iterations, rounds


def in_legs(case: Case, length: int) -> list[Outcome]:
    """The outcomes of all legs, each of so many iterations."""
    found = [leg(case, length)]
    while found[-1].result[1] is not None:
        found.append(leg(case, (len(found) + 1) * length, found[-1]))
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_fit_that_pauses_after_every_iteration_has_the_bits_and_rounds_of_one_go(name):
    expected, found = whole(CASES[name]), in_legs(CASES[name], 1)
    assert told(found[-1]) == told(expected)
    assert found[-1].ending == expected.ending
    assert len(found) >= max(expected.iterations, 1)


@pytest.mark.parametrize("solver", STEPS)
def test_solvers_go_on_as_if_they_had_not_paused(solver):
    expected, found = whole(STEPS[solver]), in_legs(STEPS[solver], 4)
    assert told(found[-1]) == told(expected)
    for number, each in enumerate(found[:-1], start=1):
        assert each.iterations == 4 * number
        assert each.ending.status is Status.RETIRED
        assert each.ending.reason == f"retired after {4 * number} iterations"


@pytest.mark.parametrize("solver", STEPS)
def test_a_fit_that_pauses_has_the_point_of_one_with_so_few_iterations(solver):
    case = STEPS[solver]
    short = Case(case.loss, case.rows, case.columns, case.stages, solver, held_out=1, max_iterations=3)
    np.testing.assert_allclose(leg(case, 3).coef, whole(short).coef, rtol=1e-12)


def test_a_fit_that_is_over_before_it_would_pause_is_one_in_one_go():
    found = leg(CASES["plain"], 1000)
    assert found.result[1] is None
    assert told(found) == told(whole(CASES["plain"]))


def test_records_count_on_from_leg_to_leg_and_no_round_is_repeated():
    case, records = STEPS["gd"], list[Record]()
    rows = CountingRows(case.blocks())
    first = leg(case, 3, rows=rows, callbacks=[records.append])
    assert records[-1].ending == first.ending
    second = leg(case, 6, first, rows, [records.append])
    assert [record.round for record in records] == list(range(1, len(rows.descriptions) + 1))
    assert [record.iteration for record in records][-4:] == [3, 4, 5, 6]
    assert len(second.rounds) == len(rows.descriptions)


def test_a_callback_that_stops_a_leg_ends_the_fit():
    found = leg(STEPS["gd"], 5, callbacks=[lambda record: record.iteration == 2])
    assert found.ending.status is Status.STOPPED_EARLY
    assert found.result[1] is None
