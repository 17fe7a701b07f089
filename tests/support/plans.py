"""Plans by hand: whole fits of arrays, what a fit prepares, its stage over all rows, and the rounds of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkgd.data.statistics import merge, statistics_of
from sparkgd.engine.packed import numbered
from sparkgd.kernels import Block, Kernel, Sums
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.local_rows import LocalRows, Rows
from sparkgd.reductions.sample import RowSample, sample_of
from sparkgd.solvers.base import State
from sparkgd.training.fit import plan_of
from sparkgd.training.history import Outcome
from sparkgd.training.lead import Lead, lead_plans
from sparkgd.training.loop import Callback, findings, succeeded, train
from sparkgd.training.outline import TrainingSet
from sparkgd.training.plan import Plan, Stages
from sparkgd.training.rounds import Asked, run_round
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stage import Solved


class CountingRows:
    """Blocks in this process that remember the descriptions of their rounds, and their kernels."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._rows = LocalRows(blocks, depth=2)
        self.descriptions: list[str] = []
        self.kernels: list[Kernel] = []

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Rows`."""
        self.descriptions.append(description)
        self.kernels.extend(kernels)
        return self._rows.round(kernels, description)


@one_thread()  # as ingest computes them
def training_set(
    blocks: Sequence[Block], held_out: int = -1, sample: RowSample | None = None, rows: Rows | None = None
) -> TrainingSet:
    """What a plan may know of blocks in this process, or of ``rows`` that hold the same."""
    groups = [item for block in blocks for item in statistics_of(block).items()]
    statistics = merge([part for group, part in groups if group.fold != held_out])
    count = sum(block.rows for block in blocks)
    return TrainingSet(LocalRows(list(blocks), depth=2) if rows is None else rows, count, statistics, sample)


@one_thread()
def sample_from(blocks: Sequence[Block], share: float) -> RowSample:
    """A sample of about that share of the rows, as ingest draws it."""
    samples = [sample_of(block, share) for block in blocks]
    return RowSample(LocalRows(numbered([sample for sample in samples if sample is not None])))


def leads_of(several: Sequence[FitSettings], data: TrainingSet) -> dict[int, Lead]:
    """The leads of settings, by their positions."""
    found: dict[int, Lead] = {}
    for leads in findings(data.rows, list(lead_plans(several, data).values())):
        assert isinstance(leads, dict), leads
        found |= leads
    return found


def fit(settings: FitSettings, data: TrainingSet, callbacks: Sequence[Callback] = ()) -> Outcome:
    """The whole fit."""
    return succeeded(train(data.rows, [plan_of(settings, data)], callbacks)[0])


@dataclass(frozen=True)
class Prepared:
    """What a fit has come to just before its stage over all rows.

    Attributes
    ----------
    final : Solving
        That stage.
    rounds : int
        Over all rows, so far.
    names : tuple of str
        The stages so far.
    """

    final: Solving
    rounds: int
    names: tuple[str, ...]


@one_thread()  # as the loop has
def prepared(settings: FitSettings, data: TrainingSet) -> Prepared:
    """Run the stages that prepare the one over all rows."""
    plan, rounds = plan_of(settings, data), 0
    state, names = plan.start(), []
    while not (stage := plan.stage(state)).is_final:
        asked = plan.ask(state)
        rounds += asked.rows is data.rows
        names += [stage.name] if names[-1:] != [stage.name] else []
        state = plan.tell(state, run_round([asked])[0])
    return Prepared(stage, rounds, tuple(names))


def final_stage(settings: FitSettings, data: TrainingSet) -> Solving:
    """The stage over all rows."""
    return prepared(settings, data).final


def solve(stage: Solving) -> Outcome:
    """The outcome of a stage alone."""

    def alone() -> Stages[Solved]:
        return (yield stage)

    return succeeded(train(stage.rows, [Plan(alone)])[0])


def first_state(stage: Solving) -> State:
    """The solver's state where the stage starts."""
    return stage.solver.start(stage.problem.point(stage.start_coef))


def advanced(stage: Solving, state: State, rounds: int) -> State:
    """The solver's state after so many rounds, or at its ending."""
    for _ in range(rounds):
        if state.ending is None:
            asked = Asked(stage.problem, stage.solver.ask(state), stage.rows)
            state = stage.solver.tell(state, run_round([asked])[0].reply)
    return state
