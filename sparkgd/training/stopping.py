"""When a fit ends, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkgd.solvers.base import Ending, State, Status

WINDOW = 10
"""Iterations over which the fall of the objective is measured."""

OBJECTIVE_FACTOR = 0.02
"""The objective's tolerance is this fraction of ``tol``: how far it still has to fall is only extrapolated."""

GAP_FACTOR = 1e-6
"""An estimated gap's tolerance is this fraction of ``tol``: about what the gradient test asks for."""

NEGLIGIBLE = 1e-8
"""Share of its first value below which an objective is not told from zero."""


@dataclass(frozen=True)
class Stopping:
    """Convergence tests of one model.

    Converged when one of these holds, with F the objective, F_0 its first value and ``tol`` > 0:

    - residual (gradient norm, in coordinates where the Hessian is about 1) <= ``tol * sqrt(|F|)``, or for an F near
      zero ``tol * sqrt(1e-8 |F_0|)``. Both sides scale alike when labels and predictions are multiplied by a constant.
      A gap known to exceed ``tol * |F|`` overrules it;
    - the solver's estimate of the gap <= ``1e-6 * tol * |F|``;
    - F has at most ``0.02 * tol * |F|`` left to fall. If it fell by a, then by b in the last two windows of 10
      iterations, a geometric series leaves ``b^2 / (a - b)``; no less than b is believed.

    Parameters
    ----------
    max_iterations : int
    tol : float
    patience : int
        End when the held-out loss has not improved for so many iterations; 0 never does.
    """

    max_iterations: int
    tol: float
    patience: int = 0

    def check(
        self, state: State, objectives: Sequence[float], held_out: Sequence[float], judged: bool
    ) -> Ending | None:
        """The ending that applies after an iteration, if any; ``judged`` if no convergence test is wanted.

        ``objectives`` holds one value an iteration.
        """
        converged = None if judged else self._converged(state, objectives)
        if converged is not None:
            return Ending(Status.CONVERGED, converged)
        if self.patience and _rounds_since_best(held_out) >= self.patience:
            reason = f"the held-out loss has not improved for {self.patience} iterations"
            return Ending(Status.STOPPED_EARLY, reason)
        if state.iteration >= self.max_iterations:
            return Ending(Status.MAX_ITERATIONS, f"maxIter={self.max_iterations} reached before convergence")
        return None

    def gradient_limit(self, objectives: Sequence[float]) -> float:
        """The residual at which the fit has converged."""
        return self.tol * float(np.sqrt(max(abs(objectives[-1]), NEGLIGIBLE * abs(objectives[0]))))

    def _converged(self, state: State, objectives: Sequence[float]) -> str | None:
        if self.tol <= 0.0:
            return None
        current = objectives[-1]
        limit = self.gradient_limit(objectives)
        # A small gradient proves little of an objective near zero: a solver that knows its gap has the last word.
        far = state.gap > self.tol * max(abs(current), NEGLIGIBLE * abs(objectives[0]))
        if state.residual <= limit and not far:
            return f"gradient norm {state.residual:.3g} <= {limit:.3g}"
        limit = GAP_FACTOR * self.tol * abs(current)
        if np.isfinite(state.gap) and state.gap <= limit:
            return f"estimated gap {state.gap:.3g} <= {limit:.3g}"
        limit = OBJECTIVE_FACTOR * self.tol * abs(current)
        remaining = _remaining_fall(objectives)
        if remaining <= limit:
            return f"the objective has about {remaining:.3g} <= {limit:.3g} left to fall"
        return None


def _remaining_fall(objectives: Sequence[float]) -> float:
    """What the objective will still fall if it goes on as in the last two windows; infinite where that is unknown."""
    if len(objectives) <= 2 * WINDOW:
        return float("inf")
    before, recent = objectives[-2 * WINDOW - 1 : -WINDOW], objectives[-WINDOW - 1 :]
    earlier, later = max(before) - max(recent), max(recent) - min(recent)
    if later == 0.0:
        return 0.0
    return later * max(1.0, later / (earlier - later)) if earlier > later else float("inf")


def _rounds_since_best(losses: Sequence[float]) -> int:
    finite = [loss for loss in losses if not np.isnan(loss)]
    return len(finite) - 1 - int(np.argmin(finite)) if finite else 0
