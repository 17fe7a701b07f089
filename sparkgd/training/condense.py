"""Losses with kinks over many rows: solved on few rows that stand for all, and checked on all.

The rows close to a kink decide where the optimum is; the others only pull, each group of them like its mean row (see
`sparkgd.kernels.condense`). One round over all rows condenses them to as many as the driver can work with. The minimum
of the condensed objective is a lower bound of that of the objective itself; where it is attained is the next point to
condense at. Since all points stay in the game, no bound is below the last, and once no row changes pieces on the way to
the next point, both objectives are the same there. This is a cutting plane method (Kelley, 1960: The cutting-plane
method for solving convex programs; Joachims, 2006, for support vector machines), of which a cut is a whole problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.condense import CondenseKernel, condensed
from sparkgd.kernels.rows import RowsKernel, collected
from sparkgd.solvers.base import Status
from sparkgd.solvers.smoothing import SHRINK, Smoothing, SmoothingState
from sparkgd.training.epochs import frame_of
from sparkgd.training.few_rows import FewRows
from sparkgd.training.loop import Resumption, Task, train
from sparkgd.training.pilot import Pilot
from sparkgd.training.rounds import Engine
from sparkgd.training.stopping import Stopping

Array = npt.NDArray[np.float64]

KEPT_BYTES = 1 << 24
"""Size of the rows, made dense, that the first round keeps as they are."""

FEWER = 0.7
"""Ratio of the rows kept by successive rounds: the nearer the optimum, the fewer change pieces."""

FEWEST = 0.25
"""Share of the first round's rows that the last ones keep, and that the very first point is found with."""

ROUNDS = 12
"""Rounds, at most."""

ROUGH = 1e-2
"""Tolerance as long as nothing is known of the gap."""

TIGHTER = 0.1
"""Share of the known gap that a condensed problem's own gap may have."""

SPARE = 0.5
"""Share of the tolerance that it may have at the end."""


def solve_condensed(task: Task, pilot: Pilot, rows: int, engine: Engine) -> Resumption | None:
    """The optimum, with a bound that proves it, by some rounds that condense all rows; None if these do not suffice.

    Parameters
    ----------
    task : Task
        Its loss must be piecewise linear, its solver `Smoothing`, its coordinates diagonal.
    pilot : Pilot
        A sample of the rows: a first idea of where the optimum is.
    rows : int
        Of the whole dataset.
    engine : Engine
        Over all rows.
    """
    most = min(KEPT_BYTES // (8 * (task.objective.layout.num_features + 3)), rows)
    sampled = _thinned(task, pilot, max(int(FEWEST * most), 1))
    search = _Search(_minimised(task, sampled, task.objective.point(task.start), _smoothing(task).width, ROUGH))
    for count in range(ROUNDS):
        kept = max(int(most * max(FEWER**count, FEWEST)), 1)
        few = _condensed(task, search.points, kept, rows, engine)
        search = search.measured(task.objective.total(_value(task, few, search.latest), search.latest))
        if search.gap <= task.stopping.tol * search.objective:
            return Resumption(replace(search.state, point=search.best, bound=search.bound), np.inf)
        found = _minimised(task, few, search.best, *search.next_step(_smoothing(task).width, task.stopping.tol))
        if found.ending is None or found.ending.status is not Status.CONVERGED:
            return None
        search = search.moved(found)
    return None


@dataclass(frozen=True)
class _Search:
    """What is known of the optimum.

    Attributes
    ----------
    state : SmoothingState
        Of the last condensed problem; its point is to be condensed at next.
    seen : tuple of (float, ndarray)
        The points where the objective is known, and the objective there, best first.
    lowest, bound : float
        Lower bounds of the objective: estimated or proven, and proven.
    """

    state: SmoothingState
    seen: tuple[tuple[float, Array], ...] = ()
    lowest: float = -np.inf
    bound: float = 0.0

    @property
    def latest(self) -> Array:
        return self.state.point

    @property
    def points(self) -> list[Array]:
        """Where to condense, the best point first."""
        return [*(point for _, point in self.seen), self.latest]

    @property
    def objective(self) -> float:
        return self.seen[0][0]

    @property
    def best(self) -> Array:
        return self.seen[0][1]

    @property
    def gap(self) -> float:
        return self.objective - self.lowest

    def measured(self, objective: float) -> _Search:
        """With the objective at the latest point."""
        seen = sorted([*self.seen, (objective, self.latest)], key=lambda pair: pair[0])
        return replace(self, seen=tuple(seen))

    def moved(self, found: SmoothingState) -> _Search:
        """With the solution of a condensed problem."""
        lowest, bound = max(self.lowest, found.objective - found.gap), max(self.bound, found.bound)
        return replace(self, state=found, lowest=lowest, bound=bound)

    def next_step(self, widest: float, tol: float) -> tuple[float, float]:
        """Width and tolerance for the next problem: smoothing may hide, at first, about as much as the gap is."""
        if not np.isfinite(self.gap):
            return min(self.state.width / SHRINK, widest), ROUGH
        error = max(self.state.error, np.finfo(float).tiny)
        width = self.state.width * float(np.sqrt(self.gap / error))
        return min(width, widest), max(SPARE * tol, TIGHTER * self.gap / self.objective)


def _smoothing(task: Task) -> Smoothing:
    assert isinstance(task.solver, Smoothing), "a loss with kinks is smoothed"
    return task.solver


def _minimised(task: Task, few: FewRows, point: Array, width: float, tol: float) -> SmoothingState:
    """Where the task's solver ends on few rows, beginning at a point and a width."""
    solver = replace(_smoothing(task), width=width, tol=tol, is_eager=False)
    stopping = Stopping(task.stopping.max_iterations, tol, task.stopping.max_seconds)
    start = task.objective.raw_coef(point)
    state = train(few, [replace(task, solver=solver, stopping=stopping, start=start)])[0].state
    assert isinstance(state, SmoothingState)
    return state


def _thinned(task: Task, pilot: Pilot, most: int) -> FewRows:
    """About so many rows of the sample."""
    kernel = RowsKernel(pilot.rows, task.objective.held_out, step=-(-pilot.rows // most))
    return FewRows([collected(pilot.sample.round([kernel])[0])])


def _condensed(task: Task, points: Sequence[Array], kept: int, rows: int, engine: Engine) -> FewRows:
    """The rows condensed at the points; one round."""
    objective = task.objective
    coefs = objective.coordinates.to_raw(np.array(points))
    frame = frame_of(objective)
    kernel = CondenseKernel(objective.loss, objective.layout, coefs, frame, kept, rows, objective.held_out)
    return FewRows([condensed(engine.round([kernel], f"{task.name}: rows near kinks")[0])])


def _value(task: Task, few: FewRows, point: Array) -> float:
    """The smooth part of the objective at a point; that over all rows where these were condensed at it."""
    return float(task.gradient_at(point, few, "condensed").values[0])
