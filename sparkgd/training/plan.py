"""A fit as a sequence of stages, each of which may depend on what the earlier ones found.

A plan is written as a generator: it yields a stage, and goes on with what that found. All that evolves is a frozen
`PlanState`: what the stages that are over found, and the state of the one under way. From it the plan finds its place
again, by running the generator on what was found, so that saving the state is all there is to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import numpy as np

from sparkgd.questions import Answer
from sparkgd.solvers.base import Ending
from sparkgd.training.rounds import Asked
from sparkgd.training.stage import Stage

if TYPE_CHECKING:  # what has become of a plan knows plans
    from sparkgd.training.history import Kept

ResultT = TypeVar("ResultT")

Stages: TypeAlias = Generator[Stage, Any, ResultT]
"""Stages one after the other; each is sent what it found."""


@dataclass(frozen=True)
class PlanState:
    """Where a plan stands.

    Attributes
    ----------
    found : tuple
        What each stage that is over found: arrays and frozen records of arrays.
    inner : object
        State of the stage under way.
    halt : Ending or None
        Why the fit is to end, if somebody asked for that.
    """

    found: tuple[Any, ...] = ()
    inner: Any = None
    halt: Ending | None = None


class Plan(Generic[ResultT]):
    """An ask/tell state machine over stages, as a solver is one over points.

    Parameters
    ----------
    stages : callable
        Makes the generator. It must do the same whenever it is sent the same.
    name : str
        Of the fit, for job descriptions.
    max_iterations : int
        Over all rows, for whoever watches; the stages keep to it.
    max_seconds : float
        Wall-clock limit, whatever stage spends it.
    begun : Kept or None
        Where a plan of the same stages paused, for this one to go on.
    """

    def __init__(
        self,
        stages: Callable[[], Stages[ResultT]],
        name: str = "fit",
        max_iterations: int = 100,
        max_seconds: float = np.inf,
        begun: Kept | None = None,
    ) -> None:
        self.name, self.max_iterations, self.max_seconds = name, max_iterations, max_seconds
        self.begun = begun
        self._stages = stages
        self._course: _Course | None = None

    def start(self) -> PlanState:
        """State before the first round."""
        return self._forward(PlanState())

    def stage(self, state: PlanState) -> Stage | None:
        """The stage under way; None when the plan is over."""
        return self._at(state).stage

    def trail(self, state: PlanState) -> list[tuple[Stage, Any]]:
        """Every stage so far with what it found, the one under way with its state."""
        course = self._at(state)
        passed = list(zip(course.passed, state.found, strict=True))
        return passed if course.stage is None else [*passed, (course.stage, state.inner)]

    def ask(self, state: PlanState) -> Asked:
        """What the stage under way asks."""
        stage = self.stage(state)
        assert stage is not None, "a plan that is over asks nothing"
        return stage.ask(state.inner)

    def tell(self, state: PlanState, answer: Answer) -> PlanState:
        """State after a round; stages that are over thereby have made room for the next."""
        stage = self.stage(state)
        assert stage is not None, "a plan that is over is told nothing"
        return self._forward(replace(state, inner=stage.tell(state.inner, answer)))

    def halted(self, state: PlanState, ending: Ending) -> PlanState:
        """State when the fit is to end: stages over few rows are cut short, the last one once its point is known."""
        return self._forward(replace(state, halt=ending))

    def result(self, state: PlanState) -> ResultT:
        """What the plan found, when it is over."""
        course = self._at(state)
        assert course.stage is None, "the plan is not over"
        result: ResultT = course.result
        return result

    def _at(self, state: PlanState) -> _Course:
        """The generator at the place that the state is at: it goes on from where it is, or runs anew."""
        if self._course is None or not self._course.follows(state.found):
            self._course = _Course(self._stages())
        self._course.go(state.found)
        return self._course

    def _forward(self, state: PlanState) -> PlanState:
        while (stage := self.stage(state)) is not None:
            inner = stage.start() if state.inner is None else state.inner
            if state.halt is not None:
                inner = stage.halted(inner, state.halt)
            if not stage.is_over(inner):
                return replace(state, inner=inner)
            state = replace(state, found=(*state.found, stage.found(inner)), inner=None)
        return state


class _Course:
    """A generator under way."""

    def __init__(self, stages: Stages[Any]) -> None:
        self._stages = stages
        self._found: tuple[Any, ...] = ()
        self.passed: list[Stage] = []
        self.stage: Stage | None = None
        self.result: Any = None
        self._advance(lambda: next(stages))

    def follows(self, found: tuple[Any, ...]) -> bool:
        """Whether what it was sent is the beginning of ``found``."""
        return len(self._found) <= len(found) and all(a is b for a, b in zip(self._found, found, strict=False))

    def go(self, found: tuple[Any, ...]) -> None:
        """Send what it has not been sent."""
        for each in found[len(self._found) :]:
            assert self.stage is not None, "more was found than there are stages"
            self.passed.append(self.stage)
            self._advance(lambda each=each: self._stages.send(each))  # type: ignore[misc]
        self._found = found

    def _advance(self, step: Callable[[], Stage]) -> None:
        try:
            self.stage = step()
        except StopIteration as end:
            self.stage, self.result = None, end.value
