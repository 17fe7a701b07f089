"""Losses with kinks over many rows: solved on few rows that stand for all, and checked on all.

The rows close to a kink decide where the optimum is; the others only pull, each group of them like its mean row (see
`sparkgd.reductions.condensed`). One round over all rows condenses them to as many as the driver can work with. The
minimum of the condensed objective is a lower bound of that of the objective itself; where it is attained is the next
point to condense at. Since all points stay in the game, no bound is below the last, and once no row changes pieces on
the way to the next point, both objectives are the same there. This is a cutting plane method (Kelley, 1960: The
cutting-plane method for solving convex programs; Joachims, 2006, for support vector machines), of which a cut is a
whole problem.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import Block
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.questions import GradientQuestion, Reply, RowsQuestion
from sparkgd.reductions.base import Reduced
from sparkgd.reductions.condensed import Condensed
from sparkgd.reductions.sample import RowSample
from sparkgd.solvers.base import Status
from sparkgd.solvers.smoothing import SHRINK, Smoothing, SmoothingState
from sparkgd.training.plan import Stages
from sparkgd.training.rounds import Asked
from sparkgd.training.solving import Resumption, Solving
from sparkgd.training.stage import Inquiry, Solved
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


def cutting_planes(final: Solving, solver: Smoothing, sample: RowSample, count: int) -> Stages[Resumption | None]:
    """The optimum, with a bound that proves it, by some rounds that condense all rows; None if these do not suffice.

    Parameters
    ----------
    final : Solving
        Its loss must be piecewise linear, its coordinates diagonal.
    solver : Smoothing
        The stage's.
    sample : RowSample
        A first idea of where the optimum is.
    count : int
        Rows of the whole dataset.
    """
    problem, tol, width = final.problem, final.stopping.tol, solver.width
    most = min(KEPT_BYTES // (8 * (problem.layout.num_features + 3)), count)
    few = yield from _thinned(final, sample, max(int(FEWEST * most), 1))
    solved = yield _over(few, final, solver, problem.point(final.start_coef), width, ROUGH)
    search = _Search(_state(solved))
    for number in range(ROUNDS):
        reduction = Condensed(max(int(most * max(FEWER**number, FEWEST)), 1), count)
        asked = Asked(problem, reduction.question(problem, np.array(search.points)), final.rows)
        few = reduction.reduced(problem, (yield Inquiry("rows near kinks", asked)))
        search = search.measured((yield from _objective(few, search.latest)))
        if search.gap <= tol * search.objective:
            return search.resumption(np.inf)
        solved = yield _over(few, final, solver, search.best, *search.next_step(width, tol))
        if solved.is_halted:
            return search.resumption(np.inf)
        if solved.status is not Status.CONVERGED:
            return None
        search = search.moved(_state(solved))
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

    def resumption(self, limit: float) -> Resumption:
        """To go on from the best point, with what is proven."""
        return Resumption(replace(self.state, point=self.best, bound=self.bound), limit)


def _over(few: Reduced, final: Solving, solver: Smoothing, point: Array, width: float, tol: float) -> Solving:
    """The stage that solves the problem over few rows, beginning at a point and a width."""
    return replace(
        final,
        name="condensed rows",
        problem=few.problem,
        rows=few.rows,
        solver=replace(solver, width=width, tol=tol, is_eager=False),
        stopping=Stopping(final.stopping.max_iterations, tol),
        start_coef=final.problem.raw_coef(point),
        is_final=False,
    )


def _state(solved: Solved) -> SmoothingState:
    assert isinstance(solved.solver, SmoothingState), "a loss with kinks is smoothed"
    return solved.solver


def _thinned(final: Solving, sample: RowSample, most: int) -> Stages[Reduced]:
    """The problem over about so many rows of the sample."""
    problem, rows = final.problem, sample.rows
    question = RowsQuestion(rows.count, problem.layout.num_features, step=-(-rows.count // most))
    block: Block = yield Inquiry("some rows of the sample", Asked(problem, question, rows))
    return Reduced(problem, LocalRows([block]))


def _objective(few: Reduced, point: Array) -> Stages[float]:
    """The objective at a point over few rows; that over all rows where these were condensed at it."""
    asked = Asked(few.problem, GradientQuestion(point[None, :]), few.rows)
    reply: Reply = yield Inquiry("objective over few rows", asked)
    return few.problem.total(float(reply.values[0]), point)
