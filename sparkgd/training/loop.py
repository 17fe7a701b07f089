"""The one loop of the library."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.problems.problem import Objective
from sparkgd.solvers.base import Ending, GradientRequest, Reply, Solver, State, Status
from sparkgd.training.rounds import Answer, Engine, Question, run_round
from sparkgd.training.stopping import Stopping

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Record:
    """What a callback sees after a round of a model.

    Attributes
    ----------
    model : int
        Position of the model among those trained together.
    round, iteration : int
        Rounds so far and iterations completed; a round of a line search may complete none.
    objective, gradient_norm, held_out_loss : float
        At the current point; ``held_out_loss`` is nan without validation rows.
    gradient_limit : float
        The gradient norm at which the fit has converged; nan where that is no test.
    seconds : float
        Duration of the round.
    max_iterations : int
        The model's limit.
    """

    model: int
    round: int
    iteration: int
    objective: float
    gradient_norm: float
    gradient_limit: float
    held_out_loss: float
    seconds: float
    max_iterations: int


Callback: TypeAlias = Callable[[Record], object]
"""Called after each round; a true result stops the model's fit."""


@dataclass(frozen=True)
class Resumption:
    """Where another training of a model ended, for a task to go on from.

    Attributes
    ----------
    state : State
        Of the same solver on a similar objective.
    limit : float
        Objective above which the state is dropped: the task's own starting point promises more.
    """

    state: State
    limit: float


@dataclass(frozen=True)
class Task:
    """One model to train.

    Attributes
    ----------
    objective : Objective
    solver : Solver
    stopping : Stopping
    start : ndarray (size,)
        Raw coef to start from.
    weight_sum : float
        Of the rows trained on.
    name : str
        Of the fit, for job descriptions.
    resumed : Resumption or None
        Where to start instead of ``start``.
    """

    objective: Objective
    solver: Solver[Any]
    stopping: Stopping
    start: Array
    weight_sum: float
    name: str = "fit"
    resumed: Resumption | None = None

    def gradient_at(self, point: Array, engine: Engine, what: str) -> Reply:
        """Value and gradient at a point, by a round of its own; ``what`` describes it to whoever watches jobs."""
        question = Question(self.objective, GradientRequest(point[None, :]), self.weight_sum)
        return run_round(engine, [question], f"{self.name}: {what}")[0].reply


@dataclass(frozen=True)
class Outcome:
    """How a fit went.

    Attributes
    ----------
    coef : ndarray (size,)
        Raw coef of the result: the last point, or with early stopping the best on the held-out rows.
    ending : Ending
    objectives, gradient_norms, held_out_losses : list of float
        One entry an iteration, the first for the starting point.
    seconds : list of float
        One entry a round.
    iterations : int
    state : State
        Of the solver, at its end.
    is_resumed : bool
        Whether it went on from the task's ``resumed``.
    duality_gap : float
        A proven bound of the objective above its minimum; infinite where the solver has none.
    """

    coef: Array
    ending: Ending
    objectives: list[float]
    gradient_norms: list[float]
    held_out_losses: list[float]
    seconds: list[float]
    iterations: int
    state: State
    is_resumed: bool = False
    duality_gap: float = np.inf


@dataclass(eq=False)
class _Run:
    """A task under way."""

    task: Task
    state: State
    coef: Array
    is_resumed: bool = False
    objectives: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    held_out_losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def is_judged(self) -> bool:
        """Whether the loop's convergence tests do not apply."""
        return self.task.solver.is_stochastic or self.task.solver.judges_itself

    def question(self) -> Question:
        return Question(self.task.objective, self.task.solver.ask(self.state), self.task.weight_sum)

    def hear(self, answer: Answer, seconds: float) -> None:
        """Advance by one reply; set the state's ending if the fit is over."""
        before = self.state
        self.state = self.task.solver.tell(before, answer.reply)
        self.seconds.append(seconds)
        if self._promised_too_much():
            self._begin_at(self.task.start)
        elif self.state.iteration > before.iteration:
            # A stochastic solver's values are those of its batch at the point that it left.
            self._completed_iteration(answer, before.point if self.task.solver.is_stochastic else self.state.point)

    def _promised_too_much(self) -> bool:
        """Whether the state that the run goes on from turns out to be worse than where it would have begun."""
        resumed = self.task.resumed
        if resumed is None or not self.is_resumed or self.objectives:
            return False
        return not self.task.objective.total(self.state.value, self.state.point) <= resumed.limit

    def _begin_at(self, coef: Array) -> None:
        objective, solver = self.task.objective, self.task.solver
        self.state, self.is_resumed = solver.start(objective.point(coef)), False
        self.coef = objective.raw_coef(self.state.point)

    def _completed_iteration(self, answer: Answer, evaluated: Array) -> None:
        state, task = self.state, self.task
        objective = task.objective.total(state.value, state.point)
        self.objectives.append(objective)
        self.gradient_norms.append(state.residual)
        before = self.held_out_losses[-1] if self.held_out_losses else np.nan
        self.held_out_losses.append(answer.held_out_loss(evaluated, before))
        if not (np.isfinite(objective) and np.all(np.isfinite(state.gradient))):
            reason = f"the objective is {objective} after {state.iteration} iterations; use a smaller step size"
            if state.iteration == 0:
                reason = f"the objective is {objective} where the fit starts; give it other initial coefs"
            self.state = replace(state, ending=Ending(Status.DIVERGED, reason))
            return
        best = self._best_held_out
        if best is None:
            self.coef = task.objective.raw_coef(state.point)
        elif self.held_out_losses[-1] == best:
            self.coef = task.objective.raw_coef(evaluated)
        if state.ending is None:
            ending = task.stopping.check(
                state, self.objectives, self.held_out_losses, sum(self.seconds), self.is_judged
            )
            self.state = replace(state, ending=ending)

    def result(self) -> Array:
        """The point to evaluate at the end of a stochastic fit."""
        if self._best_held_out is None:
            return self.task.solver.result(self.state)
        return self.task.objective.point(self.coef)

    def settle(self, answer: Answer, evaluated: Array) -> None:
        """Take the true values at a stochastic solver's result."""
        if self._best_held_out is None:
            self.state = self.task.solver.settled(replace(self.state, point=evaluated), answer.reply)
            self.coef = self.task.objective.raw_coef(self.state.point)
        else:
            self.state = Solver.settled(self.task.solver, replace(self.state, point=evaluated), answer.reply)

    @property
    def _best_held_out(self) -> float | None:
        """Least held-out loss so far, where it decides which point is returned."""
        known = [loss for loss in self.held_out_losses if not np.isnan(loss)]
        return min(known) if known and self.task.stopping.patience else None

    def end(self, status: Status, reason: str) -> None:
        """End the run from outside, unless it has ended already."""
        if self.state.ending is None:
            self.state = replace(self.state, ending=Ending(status, reason))

    def record(self, model: int) -> Record:
        return Record(
            model=model,
            round=len(self.seconds),
            iteration=self.state.iteration,
            objective=self.objectives[-1] if self.objectives else np.nan,
            gradient_norm=self.gradient_norms[-1] if self.gradient_norms else np.nan,
            gradient_limit=self._gradient_limit(),
            held_out_loss=self.held_out_losses[-1] if self.held_out_losses else np.nan,
            seconds=self.seconds[-1],
            max_iterations=self.task.stopping.max_iterations,
        )

    def _gradient_limit(self) -> float:
        if self.is_judged or not self.objectives:
            return np.nan
        return self.task.stopping.gradient_limit(self.objectives)

    def outcome(self) -> Outcome:
        ending = self.state.ending
        assert ending is not None
        return Outcome(
            self.coef, ending, self.objectives, self.gradient_norms, self.held_out_losses, self.seconds,
            max(self.state.iteration, 0), self.state, self.is_resumed, self.state.duality_gap,
        )  # fmt: skip


@np.errstate(over="ignore", invalid="ignore")  # numbers that overflow are told as divergence, in words
def train(
    engine: Engine, tasks: Sequence[Task], callbacks: Sequence[Callback] = (), keep_on_interrupt: bool = False
) -> list[Outcome]:
    """Train all tasks together: each round serves every task that has not ended.

    Parameters
    ----------
    engine : Engine
    tasks : sequence of Task
    callbacks : sequence of callables
        Each is called with a `Record` for every model after every round.
    keep_on_interrupt : bool
        Whether an interrupt (Ctrl-C, a notebook's stop button) ends the fits with their best points so far, once each
        has been evaluated at all, instead of being raised.

    Returns
    -------
    list of Outcome
        In the order of the tasks.
    """
    runs = [_start(task) for task in tasks]
    try:
        while active := [run for run in runs if run.state.ending is None]:
            _round(engine, runs, active, callbacks)
    except KeyboardInterrupt:
        if not keep_on_interrupt or not all(run.objectives for run in runs):
            raise
        for run in runs:
            run.end(Status.STOPPED_EARLY, "interrupted")
    _evaluate_stochastic(engine, [run for run in runs if run.task.solver.is_stochastic])
    return [run.outcome() for run in runs]


def _round(engine: Engine, runs: list[_Run], active: list[_Run], callbacks: Sequence[Callback]) -> None:
    """One round for the active runs, then the callbacks."""
    began = time.perf_counter()
    answers = run_round(engine, [run.question() for run in active], _description(active))
    seconds = time.perf_counter() - began
    for run, answer in zip(active, answers, strict=True):
        run.hear(answer, seconds)
        record = run.record(runs.index(run))
        wishes = [callback(record) for callback in callbacks]
        if any(wishes):
            run.end(Status.STOPPED_EARLY, "a callback asked to stop")


def _start(task: Task) -> _Run:
    if task.resumed is None:
        state = task.solver.start(task.objective.point(task.start))
    else:
        state = task.solver.restart(task.resumed.state)
    if state.iteration >= task.stopping.max_iterations:  # of a stochastic solver, whose first round is a step
        state = replace(state, ending=task.stopping.check(state, [], [], 0.0, True))
    return _Run(task, state, task.objective.raw_coef(state.point), task.resumed is not None)


def _description(active: Sequence[_Run]) -> str:
    run = active[0]
    objective = f", objective {run.objectives[-1]:.6g}" if run.objectives else ""
    others = f" (and {len(active) - 1} more models)" if len(active) > 1 else ""
    return f"{run.task.name}: round {len(run.seconds) + 1}{objective}{others}"


def _evaluate_stochastic(engine: Engine, runs: Sequence[_Run]) -> None:
    """A stochastic solver only ever saw batches: one full round gives the true objective of its result."""
    finished = [run for run in runs if run.state.ending and run.state.ending.status is not Status.DIVERGED]
    if not finished:
        return
    began = time.perf_counter()
    points = [run.result() for run in finished]
    questions = [
        Question(run.task.objective, GradientRequest(point[None, :]), run.task.weight_sum)
        for run, point in zip(finished, points, strict=True)
    ]
    answers = run_round(engine, questions, f"{finished[0].task.name}: final evaluation")
    for run, point, answer in zip(finished, points, answers, strict=True):
        run.settle(answer, point)
        run.objectives.append(run.task.objective.total(run.state.value, run.state.point))
        run.gradient_norms.append(run.state.residual)
        run.held_out_losses.append(answer.held_out_loss(point))
        run.seconds.append(time.perf_counter() - began)
