"""Fits without Spark whose driver is lost in any round: another one ends with the same bits."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from sparkgd.checkpoints.codec import decode, encode
from sparkgd.checkpoints.identity import Identity
from sparkgd.exceptions import CheckpointError, SparkGDError
from sparkgd.losses import HingeLoss, LogisticLoss, Loss, SquaredLoss
from sparkgd.penalties import Penalty
from sparkgd.problems.problem import Problem
from sparkgd.solvers.base import Solver
from sparkgd.solvers.registry import SOLVERS
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training import cutting_planes
from sparkgd.training.fit import plan_of
from sparkgd.training.history import Kept, Outcome
from sparkgd.training.lead import lead_plans
from sparkgd.training.loop import findings, train
from sparkgd.training.plan import Plan
from sparkgd.training.stopping import Stopping
from tests.support.bits import bits
from tests.support.checkpoints import Bench, DriverLostError, Mortal
from tests.support.plan_cases import CASES, FEW_BYTES, Case

PLAIN = CASES["plain"]


def with_settings(**settings):
    return lambda case: replace(case.settings(), solver=SolverSettings(**settings))


FITS = {name: (case, Case.settings) for name, case in CASES.items()}
FITS |= {name: (replace(PLAIN, solver=name), Case.settings) for name in SOLVERS}
FITS |= {
    f"{name} of hinge": (replace(PLAIN, loss=HingeLoss(), solver=name), Case.settings)
    for name in ("newton", "l-bfgs", "newton-cg")
}
FITS |= {
    "gd with momentum": (PLAIN, with_settings(name="gd", momentum=0.5)),
    "gd with a cosine": (PLAIN, with_settings(name="gd", schedule="cosine", step_size=1.0)),
    "adam": (PLAIN, with_settings(name="sgd", updater="adam", averaging=True, batch_size=50)),
    "adaptive": (PLAIN, with_settings(name="sgd", schedule="adaptive", updater="nesterov", fraction=0.3)),
    "held out": (replace(PLAIN, held_out=1, solver="l-bfgs"), Case.settings),
    "least squares": (replace(PLAIN, loss=SquaredLoss(), solver="nesterov"), Case.settings),
}
"""Cases with their settings: every stage, every solver, and what these remember under other settings."""

every_fit = pytest.mark.parametrize("name", FITS)


@pytest.fixture(autouse=True)
def few_rows_kept(monkeypatch):
    monkeypatch.setattr(cutting_planes, "KEPT_BYTES", FEW_BYTES)


def settings_of(name):
    case, make = FITS[name]
    settings = make(case)
    return replace(settings, stopping=Stopping(40 if settings.solver.name != "auto" else 100, settings.stopping.tol))


def one(name, left=-1):
    """A fit's rows, which last for so many rounds, and its plan."""
    data = FITS[name][0].data()
    data = replace(data, rows=Mortal(data.rows, left))
    return data.rows, [plan_of(settings_of(name), data)]


def content(outcome: Outcome) -> bytes:
    """The bits of all but times."""
    stages = [(stage.name, stage.rounds, stage.is_local) for stage in outcome.stages]
    return bits((outcome.coef, outcome.ending, outcome.objectives, outcome.gradient_norms, outcome.held_out_losses,
                 outcome.iterations, outcome.last, stages, outcome.result.solved, outcome.result.reason))  # fmt: skip


@every_fit
def test_a_fit_lost_in_any_round_ends_with_the_bits_of_one_that_never_was(name, tmp_path):
    rows, plans = one(name)
    expected, rounds = content(train(rows, plans)[0]), rows.rounds
    for lost in sorted({1, 2, rounds // 3, rounds // 2, rounds - 2, rounds - 1} & set(range(1, rounds))):
        bench = Bench(tmp_path / str(lost), interval=1)
        with pytest.raises(DriverLostError):
            bench.train(*one(name, lost))
        assert 1 <= len(bench.files()) <= 2
        again, plans = one(name)
        assert content(bench.train(again, plans)[0]) == expected
        assert again.rounds == rounds - lost, "no round is repeated"
        assert bench.files() == []
        assert bench.told == []


def test_no_more_rounds_than_the_interval_are_repeated(tmp_path):
    rows, plans = one("l-bfgs")
    expected, rounds = content(train(rows, plans)[0]), rows.rounds
    for interval in (1, 2, 5, rounds + 1):
        for lost in range(1, rounds):
            bench = Bench(tmp_path / f"{interval} {lost}", interval=interval)
            with pytest.raises(DriverLostError):
                bench.train(*one("l-bfgs", lost))
            again, plans = one("l-bfgs")
            assert content(bench.train(again, plans)[0]) == expected
            assert again.rounds - (rounds - lost) == lost % interval


def test_a_fit_lost_again_and_again_arrives(tmp_path):
    rows, plans = one("nesterov")
    expected, bench = content(train(rows, plans)[0]), Bench(tmp_path, interval=3)
    for _ in range(rows.rounds // 3 - 1):
        with pytest.raises(DriverLostError):
            bench.train(*one("nesterov", 4))
    assert content(bench.train(*one("nesterov"))[0]) == expected


def test_keeping_changes_no_bits(tmp_path):
    rows, plans = one("pilot")
    assert content(Bench(tmp_path, interval=1).train(*one("pilot"))[0]) == content(train(rows, plans)[0])


class Recorder:
    """A keeper that remembers all that it sees."""

    seconds = 0.0

    def __init__(self):
        self.seen: list[Kept] = []

    def begun(self, plans):
        return None

    def after(self, kept, seconds):
        self.seen += kept()

    def ended(self, kept):
        self.seen += kept


def parts_of(value):
    yield value
    if isinstance(value, tuple | list):
        children = list(value)
    elif dataclasses.is_dataclass(value):
        children = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        children = []
    for child in children:
        yield from parts_of(child)


@every_fit
def test_states_hold_no_settings_and_come_back_as_they_were(name):
    """Arrays are contiguous: others would come back so, and BLAS may add them up in another order then."""
    recorder = Recorder()
    rows, plans = one(name)
    train(rows, plans, keeper=recorder)
    for kept in recorder.seen:
        assert bits(decode(*encode(kept))) == bits(kept)
        for part in parts_of(kept):
            assert not isinstance(part, Solver | Loss | Penalty | Problem)
            assert not callable(part)
            if isinstance(part, np.ndarray):
                assert part.flags.c_contiguous or part.flags.f_contiguous


def several(left=-1):
    """Models of which one is refused, one needs many rounds and one few, over the same rows."""
    case = CASES["pilot"]
    data = case.data()
    data = replace(data, rows=Mortal(data.rows, left))
    kinds = [replace(case, solver=solver, strength=strength) for solver in ("auto", "gd") for strength in (1e-3, 1e-1)]
    plans: list[Plan] = [plan_of(kind.settings(), data) for kind in kinds]
    return data.rows, [*plans, plan_of(replace(case.settings(), start=(np.zeros((1, 3)), None)), data)]


def together(outcomes):
    return [str(each) if isinstance(each, SparkGDError) else content(each) for each in outcomes]


def test_many_plans_are_kept_together(tmp_path):
    rows, plans = several()
    expected = together(train(rows, plans))
    for lost in (1, 7, rows.rounds // 2, rows.rounds - 1):
        bench = Bench(tmp_path / str(lost), interval=2)
        with pytest.raises(DriverLostError):
            bench.train(*several(lost))
        again, plans = several()
        assert together(bench.train(again, plans)) == expected
        assert again.rounds <= rows.rounds - lost + 1


def led(bench, left=-1):
    """Leads and then what follows them, in two calls, as models of a grid are trained; and the rounds that took."""
    case = replace(CASES["plain"], solver="auto")
    data = case.data()
    data = replace(data, rows=Mortal(data.rows, left))
    several = [replace(case, strength=strength).settings() for strength in (1.0, 1e-2)]
    with bench.keeping() as keeper:
        plans = lead_plans(several, data)
        leads = {}
        for found in findings(data.rows, list(plans.values()), keeper=keeper):
            leads |= found
        settings = [replace(each, lead=leads[number]) for number, each in enumerate(several)]
        outcomes = train(data.rows, [plan_of(each, data) for each in settings], keeper=keeper)
    return [content(each) for each in outcomes], data.rows.rounds


def test_calls_after_each_other_are_kept_together(tmp_path):
    expected, rounds = led(Bench(tmp_path / "whole"))
    for lost in range(1, rounds):
        bench = Bench(tmp_path / str(lost), interval=1)
        with pytest.raises(DriverLostError):
            led(bench, lost)
        assert led(bench) == (expected, rounds - lost)


def test_rounds_and_time_of_all_processes_are_counted(tmp_path):
    bench = Bench(tmp_path, interval=5)
    with pytest.raises(DriverLostError):
        bench.train(*one("nesterov", 7))
    records = []
    rows, plans = one("nesterov")
    with bench.keeping() as keeper:
        assert keeper.seconds > 0.0
        outcome = train(rows, plans, [records.append], keeper=keeper)[0]
    assert records[0].round == 6
    assert len(outcome.seconds) == rows.rounds + 5


FORCED = sorted(set(FITS) - {"gd with a cosine", "sgd", "adam", "adaptive", "localSGD", "stochastic", "held out"})
"""Those that end at the optimum, wherever they begin."""


@pytest.mark.parametrize("name", FORCED)
@pytest.mark.parametrize("lost", [1, 5, -1])
def test_a_fit_forced_onto_other_rows_finds_their_optimum(name, lost, tmp_path):
    """Whatever was found of the other rows is but a start."""

    case, make = FITS[name]
    settings, other = replace(make(case), stopping=Stopping(200, 1e-9)), replace(case, seed=2).data()
    expected = train(other.rows, [plan_of(settings, other)])[0]
    whole, plans = one(name)
    train(whole, plans)
    left = min(lost, whole.rounds - 1) if lost > 0 else whole.rounds - 1
    with pytest.raises(DriverLostError):
        Bench(tmp_path, interval=1).train(*one(name, left))
    bench = Bench(tmp_path, Identity({"number of features": 4, "number of rows": 1}, [{"regParam": "0.1"}]))
    found = bench.train(other.rows, [plan_of(settings, other)], "force")[0]
    assert found.objective == pytest.approx(expected.objective, rel=1e-6)
    assert bench.files() == []


def test_a_fit_of_another_way_is_refused(tmp_path):
    bench = Bench(tmp_path, interval=1)
    with pytest.raises(DriverLostError):
        bench.train(*one("l-bfgs", 5))
    with pytest.raises(CheckpointError, match="another way: it cannot use what was found"):
        bench.train(*one("span start"))
    with pytest.raises(CheckpointError, match=r"another way: its stages are .*'Gram matrix'"):
        bench.train(*one("plain"))
    with pytest.raises(CheckpointError, match=r"'all rows' is about another problem.*LbfgsState"):
        bench.train(*one("nesterov"))
    with pytest.raises(CheckpointError, match="is of 1 models where there are 5"):
        bench.train(*several())


def test_losses_are_those_expected():
    assert {type(case.loss) for case, _ in FITS.values()} == {LogisticLoss, HingeLoss, SquaredLoss}
