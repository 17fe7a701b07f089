"""What has become of a plan so far, and who keeps it in case that the driver is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.exceptions import CheckpointError
from sparkgd.solvers.base import Ending
from sparkgd.training.plan import Plan, PlanState
from sparkgd.training.stage import Solved, Stage

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StageRecord:
    """What a stage took.

    Attributes
    ----------
    name : str
    rounds : int
    seconds : float
    is_local : bool
        Whether its rows were few, in this process.
    """

    name: str
    rounds: int
    seconds: float
    is_local: bool


def by_stage(rounds: Sequence[StageRecord]) -> list[StageRecord]:
    """One record for consecutive rounds of the same stage."""
    groups = groupby(rounds, key=lambda each: (each.name, each.is_local))
    return [
        StageRecord(name, len(members), sum(each.seconds for each in members), is_local)
        for (name, is_local), members in ((key, list(group)) for key, group in groups)
    ]


@dataclass(frozen=True)
class Outcome:
    """How a fit went.

    Attributes
    ----------
    coef : ndarray (size,)
        Raw coef of the result: the last point, or with held-out rows the best on these.
    ending : Ending
    objective : float
        At ``coef``.
    objectives, gradient_norms, held_out_losses : list of float
        One entry an iteration over all rows, the first for the starting point.
    iterations : int
    last : Solved
        The last stage's state.
    rounds : tuple of StageRecord
        Every round.
    result : object
        What the plan found.
    """

    coef: Array
    ending: Ending
    objective: float
    objectives: list[float]
    gradient_norms: list[float]
    held_out_losses: list[float]
    iterations: int
    last: Solved
    rounds: tuple[StageRecord, ...]
    result: Any

    @property
    def seconds(self) -> list[float]:
        """One entry a round over all rows."""
        return [each.seconds for each in self.rounds if not each.is_local]

    @property
    def stages(self) -> list[StageRecord]:
        """What was done, in this order."""
        return by_stage(self.rounds)

    @property
    def duality_gap(self) -> float:
        """A proven bound of the objective above its minimum; infinite where the solver has none."""
        return self.last.solver.duality_gap + (self.objective - self.last.objectives[-1])

    @property
    def local_seconds(self) -> float:
        """Time of the stages over few rows."""
        return sum(each.seconds for each in self.rounds if each.is_local)


@dataclass(frozen=True)
class Kept:
    """All that it takes to go on with a plan.

    Attributes
    ----------
    state : PlanState
    rounds : tuple of StageRecord
        Every round so far.
    stages : tuple of str
        The stages so far, for a plan that would take another way to be told.
    is_foreign : bool
        Whether it comes from a fit of other rows or another objective: values are to be forgotten, points are not.
    """

    state: PlanState
    rounds: tuple[StageRecord, ...]
    stages: tuple[str, ...]
    is_foreign: bool = False

    def entered(self, plan: Plan[Any]) -> PlanState:
        """The state of the plan, which finds its place again.

        Raises
        ------
        CheckpointError
            If the plan is another one.
        """
        if not self.stages and not self.state.found and self.state.inner is None:
            return plan.start()
        try:
            trail = plan.trail(self.state)
        except (TypeError, ValueError, AttributeError, LookupError, AssertionError) as error:
            raise CheckpointError(f"the fit takes another way: it cannot use what was found ({error})") from error
        found, expected = tuple(stage.name for stage, _ in trail), self.stages
        if expected and found != expected:
            raise CheckpointError(f"the fit takes another way: its stages are {found}, not {expected}")
        for stage, state in trail[len(self.state.found) :]:
            there, here = _kind(stage.solved(state)), _kind(stage.solved(stage.start()))
            if there != here:
                raise CheckpointError(f"the stage {stage.name!r} is about another problem: {here}, not {there}")
        state = self._again(trail) if self.is_foreign else self.state
        try:
            if plan.stage(state) is not None:
                plan.ask(state)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            raise CheckpointError(f"the fit cannot go on from what was found ({error})") from error
        return state

    def _again(self, trail: Sequence[tuple[Stage, Any]]) -> PlanState:
        """The stage under way, or the final one if that is over, from the point that it has come to."""
        under_way = len(self.state.found)
        for number, (stage, state) in reversed(list(enumerate(trail))):
            if number == under_way or stage.is_final:
                return PlanState(self.state.found[:number], stage.again(state))
        return self.state


def _kind(solved: Solved | None) -> tuple[str, int]:
    """What two states of one stage have in common."""
    return ("", 0) if solved is None else (type(solved.solver).__name__, int(np.size(solved.coef)))


class Keeper(Protocol):
    """Who keeps plans, those of one `train` or `findings` after the other."""

    @property
    def seconds(self) -> float:
        """Time that what is kept has taken."""
        ...

    def begun(self, plans: int) -> Sequence[Kept] | None:
        """What so many plans, which begin now, have to go on from, if anything."""
        ...

    def after(self, kept: Callable[[], Sequence[Kept]], seconds: float) -> None:
        """A round over all rows has been made, at this time of the fit."""
        ...

    def ended(self, kept: Sequence[Kept]) -> None:
        """The plans are over."""
        ...
