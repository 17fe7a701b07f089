"""The one loop of the library: it runs plans, and nothing else runs solvers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sparkgd.exceptions import CheckpointError, KernelError, SparkGDError
from sparkgd.kernels.blas import one_thread
from sparkgd.kernels.local_rows import Rows
from sparkgd.questions import Answer
from sparkgd.solvers.base import Ending, Status
from sparkgd.training.history import Keeper, Kept, Outcome, StageRecord
from sparkgd.training.plan import Plan, PlanState
from sparkgd.training.rounds import Asked, run_round
from sparkgd.training.stage import Solved

ResultT = TypeVar("ResultT")

TOGETHER = 64
"""Results that one round is about, when all fits are over: what is sent of each may be as much as the rows."""


@dataclass(frozen=True)
class Record:
    """What a callback sees after a round of a model.

    Attributes
    ----------
    model : int
        Position of the model among those trained together.
    round : int
        Rounds so far.
    stage : str
        What the round was for: ``all rows``, or a stage that prepares it, whose numbers are in ``preparing``.
    iteration : int
        Iterations over all rows that are complete, -1 before the first point is evaluated; a round of a line search may
        complete none.
    objective, gradient_norm, held_out_loss : float
        At the current point, of all rows; nan before the first is evaluated, and without validation rows.
    gradient_limit : float
        The gradient norm at which the fit has converged; nan where that is no test.
    seconds : float
        Duration of the round.
    max_iterations : int
        The model's limit.
    preparing : Solved or None
        How far a stage over few rows is that prepares the one over all.
    ending : Ending or None
        How the fit ended, if this was its last round; one that ended as ``retired`` may go on later. What is asked
        about its result thereafter is no round of the fit, and no callback sees it.
    """

    model: int
    round: int
    stage: str
    iteration: int
    objective: float
    gradient_norm: float
    gradient_limit: float
    held_out_loss: float
    seconds: float
    max_iterations: int
    preparing: Solved | None = None
    ending: Ending | None = None


Callback: TypeAlias = Callable[[Record], object]
"""Called after each round; a true result stops the model's fit."""


@dataclass(eq=False)
class _Run:
    """A plan under way, and its history."""

    plan: Plan[Any]
    all_rows: Rows
    resumed: Kept | None = None
    state: PlanState = field(default_factory=PlanState)
    rounds: list[StageRecord] = field(default_factory=list)
    failure: SparkGDError | None = None

    def __post_init__(self) -> None:
        kept = self.resumed
        with self._failing():
            self.rounds = [] if kept is None else list(kept.rounds)
            self.state = self.plan.start() if kept is None else kept.entered(self.plan)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What a plan refuses, once it knows more, is its own end and nobody else's."""
        try:
            yield
        except CheckpointError:
            raise
        except SparkGDError as error:
            self.failure = error

    @property
    def is_over(self) -> bool:
        return self.failure is not None or self.plan.stage(self.state) is None

    @property
    def is_trained(self) -> bool:
        """Whether all that is left to ask, if anything, is about the result."""
        stage = None if self.failure is not None else self.plan.stage(self.state)
        return stage is None or stage.can_wait

    @property
    def solved(self) -> list[Solved]:
        """What the stages over all rows came to, the one under way included."""
        if self.failure is not None:
            return []
        return [found for stage, found in self.plan.trail(self.state) if stage.is_final]

    @property
    def is_evaluated(self) -> bool:
        """Whether the objective is known at some point."""
        return any(solved.objectives for solved in self.solved)

    def is_local(self, asked: Asked) -> bool:
        return asked.rows is not self.all_rows

    def hear(self, asked: Asked, answer: Answer, seconds: float) -> None:
        stage = self.plan.stage(self.state)
        assert stage is not None
        self.rounds.append(StageRecord(stage.name, 1, seconds, self.is_local(asked)))
        with self._failing():
            self.state = self.plan.tell(self.state, answer)

    def halt(self, status: Status, reason: str) -> None:
        """End the run from outside, unless it has been already."""
        if not self.is_over and self.state.halt is None:
            with self._failing():
                self.state = self.plan.halted(self.state, Ending(status, reason, is_halt=True))

    def record(self, model: int) -> Record:
        stage, state = self.plan.trail(self.state)[-1]
        solved, last = self.solved, self.rounds[-1]
        current = next((each for each in reversed(solved) if each.objectives), None)
        return Record(
            model=model,
            round=len(self.rounds),
            stage=last.name,
            iteration=sum(max(each.iteration, 0) for each in solved) if current else -1,
            objective=current.objectives[-1] if current else np.nan,
            gradient_norm=current.gradient_norms[-1] if current else np.nan,
            gradient_limit=stage.gradient_limit(state) if stage.is_final else np.nan,
            held_out_loss=current.held_out_losses[-1] if current else np.nan,
            seconds=last.seconds,
            max_iterations=self.plan.max_iterations,
            preparing=None if stage.is_final else stage.solved(state),
            ending=solved[-1].ending if solved and self.is_trained else None,
        )

    def description(self) -> str:
        """The next round, for whoever watches jobs."""
        stage = self.plan.stage(self.state)
        assert stage is not None
        known = [each.objectives[-1] for each in self.solved if each.objectives]
        objective = f", objective {known[-1]:.6g}" if known else ""
        return f"{self.plan.name}: {stage.name}, round {len(self.rounds) + 1}{objective}"

    def kept(self) -> Kept:
        trail = [] if self.failure is not None else self.plan.trail(self.state)
        return Kept(self.state, tuple(self.rounds), tuple(stage.name for stage, _ in trail))

    def outcome(self) -> Outcome | SparkGDError:
        if self.failure is not None:
            return self.failure
        solved = self.solved
        last = solved[-1]
        assert last.ending is not None
        return Outcome(
            coef=last.coef,
            ending=last.ending,
            objective=last.objective,
            objectives=[value for each in solved for value in each.objectives],
            gradient_norms=[value for each in solved for value in each.gradient_norms],
            held_out_losses=[value for each in solved for value in each.held_out_losses],
            iterations=sum(max(each.iteration, 0) for each in solved),
            last=last,
            rounds=tuple(self.rounds),
            result=self.plan.result(self.state),
        )


def train(
    rows: Rows,
    plans: Sequence[Plan[Any]],
    callbacks: Sequence[Callback] = (),
    keep_on_interrupt: bool = False,
    began: float | None = None,
    keeper: Keeper | None = None,
) -> list[Outcome | SparkGDError]:
    """Run all plans together: whatever they ask of all rows at a time is one round.

    A plan that is refused, since it knows more of the rows by then, ends alone; its error takes its outcome's place.

    Parameters
    ----------
    rows : Rows
        All rows. Stages may be about others, of which a round in this process costs little.
    plans : sequence of Plan
    callbacks : sequence of callables
        Each is called with a `Record` for every model after every round.
    keep_on_interrupt : bool
        Whether an interrupt (Ctrl-C, a notebook's stop button) ends the fits with their best points so far, once each
        has been evaluated at all, instead of being raised.
    began : float or None
        When the plans' time began to pass, by ``time.perf_counter``; None for now.
    keeper : Keeper or None
        Sees all states after each round over all rows, and may have some to go on from.

    Returns
    -------
    list of Outcome or SparkGDError
        In the order of the plans.
    """
    return [run.outcome() for run in _run(rows, plans, callbacks, keep_on_interrupt, began, keeper)]


def findings(
    rows: Rows,
    plans: Sequence[Plan[ResultT]],
    callbacks: Sequence[Callback] = (),
    began: float | None = None,
    keeper: Keeper | None = None,
) -> list[ResultT | SparkGDError]:
    """What plans find of which no model is made: as `train`."""
    runs = _run(rows, plans, callbacks, False, began, keeper)
    return [run.plan.result(run.state) if run.failure is None else run.failure for run in runs]


@one_thread()  # the solvers' algebra too: a fit has the same bits whatever else runs, on any number of cores
@np.errstate(over="ignore", invalid="ignore")  # numbers that overflow are told as divergence, in words
def _run(
    rows: Rows,
    plans: Sequence[Plan[Any]],
    callbacks: Sequence[Callback],
    keep_on_interrupt: bool,
    began: float | None,
    keeper: Keeper | None,
) -> list[_Run]:
    """The plans, each of which is over."""
    began = time.perf_counter() if began is None else began
    resumed = None if keeper is None else keeper.begun(len(plans))
    runs = [_Run(plan, rows, resumed[number] if resumed else plan.begun) for number, plan in enumerate(plans)]
    while active := [run for run in runs if not run.is_over]:
        try:
            is_of_all = _round(runs, active, callbacks)
            if keeper is not None and is_of_all:
                keeper.after(lambda: [run.kept() for run in runs], time.perf_counter() - began)
        except KeyboardInterrupt:
            if not keep_on_interrupt or not all(run.is_evaluated for run in active):
                raise
            for run in active:
                run.halt(Status.STOPPED_EARLY, "interrupted")
        passed = time.perf_counter() - began
        for run in active:
            if passed >= run.plan.max_seconds:
                run.halt(Status.MAX_SECONDS, f"maxSeconds={run.plan.max_seconds:g} passed before convergence")
    if keeper is not None:
        keeper.ended([run.kept() for run in runs])
    return runs


def _round(runs: list[_Run], active: list[_Run], callbacks: Sequence[Callback]) -> bool:
    """One round, then the callbacks; whether it was about all rows.

    Few come first, so that most share one of all, and last what can wait, so that this shares as few as it may.
    """
    active = [run for run in active if not run.is_trained] or active[:TOGETHER]
    asked = [(run, run.plan.ask(run.state)) for run in active]
    asked = [(run, each) for run, each in asked if run.is_local(each)] or asked
    others = f" (and {len(asked) - 1} more models)" if len(asked) > 1 else ""
    numbers = {id(run): number for number, run in enumerate(runs)}
    began = time.perf_counter()
    answers = _answers(asked, asked[0][0].description() + others)
    seconds = time.perf_counter() - began
    for (run, each), answer in zip(asked, answers, strict=True):
        if isinstance(answer, KernelError):
            run.failure = answer
            continue
        is_about_result = run.is_trained
        run.hear(each, answer, seconds)
        if run.failure is not None or is_about_result:
            continue
        record = run.record(numbers[id(run)])
        wishes = [callback(record) for callback in callbacks]
        if any(wishes):
            run.halt(Status.STOPPED_EARLY, "a callback asked to stop")
    return not asked[0][0].is_local(asked[0][1])


def _answers(asked: Sequence[tuple[_Run, Asked]], description: str) -> Sequence[Answer | KernelError]:
    """The answers of one round; where a kernel fails, each model asks once more for itself, to tell whose it is."""
    try:
        return run_round([each for _, each in asked], description)
    except KernelError as error:
        if len(asked) == 1:
            return [error]
    return [answer for run, each in asked for answer in _answers([(run, each)], run.description())]


def succeeded(found: Outcome | SparkGDError) -> Outcome:
    """The outcome of a plan; its error, if it was refused, is raised."""
    if isinstance(found, SparkGDError):
        raise found
    return found
