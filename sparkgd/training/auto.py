"""The cost model behind ``solver="auto"``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.penalties import Penalty
from sparkgd.solvers.registry import SOLVERS, working_solvers

NEWTON_SIZE = 1024
"""Coefs up to which a Newton system is solved in well under a second."""

NEWTON_WORK = 5e11
"""Products a round up to which a Hessian is summed: about half a minute of one core."""


NAMED = "named by the user"
"""Why a solver was taken that `choose_solver` was not asked for."""


@dataclass(frozen=True)
class Choice:
    """A solver's name and why it was chosen."""

    name: str
    reason: str


def choose_solver(loss: Loss, penalty: Penalty, layout: CoefLayout, rows: int) -> Choice:
    """The solver for a problem.

    A round over a cluster costs a job's latency, tens of milliseconds, before the first row is read, so what counts is
    the number of rounds. Newton needs 3 to 15, whatever the conditioning and with L1 or bounds as well; a round sums
    ``rows * K (K + 1) / 2 * (p + 1)^2`` products for K outputs, and the driver solves systems of ``size`` unknowns.
    L-BFGS needs 10 to 100 rounds, each at the price of reading the data; about a third of them where there is a pilot,
    whose rows' Hessian is its metric (see `sparkgd.training.sampled_hessian`). A loss with kinks is smoothed, which
    gives it a curvature and takes 20 to 50 rounds of Newton: of large data in the driver, over condensed rows, while
    all rows are read in 5 to 10 rounds without Hessian (see `sparkgd.training.cutting_planes`). Groups of weights leave
    only the methods that need no more than a prox. Under L1 alone no more weights than there are rows need be nonzero
    (Tibshirani, 2013: The lasso problem and uniqueness), and Newton sums no more of the Hessian than these need; with
    many rows the first gradient decides (see `sparkgd.training.fit`).
    """
    if not penalty.is_piecewise:
        return Choice("nesterov", "the penalty ties weights together in groups: only methods by its prox apply")
    quasi_newton = "l-bfgs" if penalty.is_smooth else "owlqn"
    if not (loss.has_curvature or loss.can_be_smoothed):
        return Choice(quasi_newton, f"the {loss.name} loss has no curvature for Newton's method")
    if layout.size > NEWTON_SIZE and _most_nonzero(penalty, layout, rows) <= NEWTON_SIZE:
        return Choice("newton", f"{rows} rows: under L1 few weights are not zero, and only these need a Hessian")
    if layout.size > NEWTON_SIZE:
        return Choice(quasi_newton, f"{layout.size} coefs: too many for a Hessian in each round")
    pairs = layout.num_outputs * (layout.num_outputs + 1) // 2
    work = rows * pairs * (layout.num_features + 1) ** 2
    if work > NEWTON_WORK:
        return Choice(quasi_newton, f"{rows} rows and {layout.size} coefs: {work:.1e} products for each Hessian")
    return Choice("newton", f"{layout.size} coefs: a Hessian in each round is cheap and saves rounds")


def check_solver(name: str, loss: Loss, penalty: Penalty) -> None:
    """Refuse a solver that does not take the loss or the penalty, and say which solvers do.

    Raises
    ------
    IncompatibleError
    """
    refusal = SOLVERS[name].refusal(loss, penalty)
    if refusal is not None:
        works = ", ".join(repr(known) for known in working_solvers(loss, penalty)) or "none"
        raise IncompatibleError(f"solver={name!r} cannot be used: {refusal}. Solvers that work: {works}.")


def _most_nonzero(penalty: Penalty, layout: CoefLayout, rows: int) -> float:
    """Bound of how many coefs a solution needs; infinite where there is L2, which spreads weights over columns."""
    known = layout.num_linear * rows
    if penalty.is_smooth or known > NEWTON_SIZE or np.any(penalty.smooth_curvature(layout.size)):
        return np.inf
    left, right = penalty.slopes(np.zeros(layout.size))
    return known + int(np.count_nonzero((left >= 0.0) | (right <= 0.0)))
