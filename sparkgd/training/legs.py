"""A fit in legs: it pauses after some iterations, for its company to be compared, and goes on with the same bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from sparkgd.questions import Answer
from sparkgd.solvers.base import Ending, Status
from sparkgd.training.plan import PlanState, Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.solving import Solving
from sparkgd.training.stage import Solved

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Leg:
    """A stage over all rows as far as some iterations; what it finds then is ended, as if the whole fit was to end.

    Attributes
    ----------
    stage : Solving
    iterations : int
    """

    stage: Solving
    iterations: int
    is_final: ClassVar[bool] = True
    can_wait: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """That of the stage."""
        return self.stage.name

    def start(self) -> Solved:
        """As the stage."""
        return self.stage.start()

    def ask(self, state: Solved) -> Asked:
        """As the stage."""
        return self.stage.ask(state)

    def tell(self, state: Solved, answer: Answer) -> Solved:
        """As the stage."""
        return self.stage.tell(state, answer)

    def halted(self, state: Solved, ending: Ending) -> Solved:
        """As the stage."""
        return self.stage.halted(state, ending)

    def again(self, state: Solved) -> Solved:
        """As the stage."""
        return self.stage.again(state)

    def is_over(self, state: Solved) -> bool:
        """Whether it has ended, or the iterations are complete."""
        return self.stage.is_over(state) or self._pauses(state)

    def found(self, state: Solved) -> Solved:
        """The state; one that pauses is ended."""
        if not self._pauses(state):
            return self.stage.found(state)
        reason = f"retired after {state.iteration} iteration{'s' * (state.iteration != 1)}"
        return self.stage.cut_short(state, Ending(Status.RETIRED, reason, is_halt=True))

    def solved(self, state: Solved) -> Solved:
        """As the stage."""
        return self.stage.solved(state)

    def gradient_limit(self, state: Solved) -> float:
        """As the stage."""
        return self.stage.gradient_limit(state)

    def _pauses(self, state: Solved) -> bool:
        return state.ending is None and bool(state.objectives) and state.iteration >= self.iterations


def pausing(stages: Stages[ResultT], iterations: int) -> Stages[tuple[ResultT, PlanState | None]]:
    """Stages that pause once so many iterations over all rows are complete.

    Returns
    -------
    (result, state)
        What they find, as if the fit was to end where it pauses; and where a plan of the same stages goes on. There is
        no state if they were over before.
    """
    found: tuple[Any, ...] = ()
    state: PlanState | None = None
    complete, each = 0, None
    while True:
        try:
            stage = stages.send(each)
        except StopIteration as end:
            return end.value, state
        if isinstance(stage, Solving) and stage.is_final and state is None:
            each = yield Leg(stage, iterations - complete)
            if each.status is Status.RETIRED:
                state = PlanState(found, replace(each, solver=replace(each.solver, ending=None)))
            complete += max(each.iteration, 0)
        else:
            each = yield stage
        found = (*found, each)
