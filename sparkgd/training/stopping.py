"""When a fit ends, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkgd.solvers.base import Ending, State, Status

WINDOW = 10
"""Iterations over which the objective must stand still."""

OBJECTIVE_FACTOR = 1e-3
"""The objective's tolerance is this fraction of ``tol``: an objective that moves little may still be far away."""


@dataclass(frozen=True)
class Stopping:
    """Convergence tests of one model.

    Converged when one of these holds, with F the objective, F_0 its first value and ``tol`` > 0:

    - residual (gradient norm, in coordinates where the Hessian is about 1) <= ``tol * sqrt(max(|F|, |F_0|))``. Both
      sides scale alike when labels and predictions are multiplied by a constant;
    - the solver's estimate of the gap <= ``tol * |F| / 10``;
    - F moved by at most ``0.001 * tol * |F|`` in the last 10 iterations.

    Parameters
    ----------
    max_iterations : int
    tol : float
    max_seconds : float
        Wall-clock limit of the rounds; infinite for none.
    patience : int
        End when the held-out loss has not improved for so many iterations; 0 never does.
    """

    max_iterations: int
    tol: float
    max_seconds: float = np.inf
    patience: int = 0

    def check(
        self, state: State, objectives: Sequence[float], held_out: Sequence[float], seconds: float, judged: bool
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
        if seconds >= self.max_seconds:
            return Ending(Status.MAX_SECONDS, f"maxSeconds={self.max_seconds:g} passed before convergence")
        return None

    def gradient_limit(self, objectives: Sequence[float]) -> float:
        """The residual at which the fit has converged."""
        return self.tol * float(np.sqrt(max(abs(objectives[-1]), abs(objectives[0]))))

    def _converged(self, state: State, objectives: Sequence[float]) -> str | None:
        if self.tol <= 0.0:
            return None
        current = objectives[-1]
        limit = self.gradient_limit(objectives)
        if state.residual <= limit:
            return f"gradient norm {state.residual:.3g} <= {limit:.3g}"
        limit = 0.1 * self.tol * abs(current)
        if state.gap <= limit:
            return f"estimated gap {state.gap:.3g} <= {limit:.3g}"
        limit = OBJECTIVE_FACTOR * self.tol * abs(current)
        recent = objectives[-WINDOW - 1 :]
        if len(objectives) > WINDOW and max(recent) - min(recent) <= limit:
            return f"objective moved by less than {limit:.3g} in {WINDOW} iterations"
        return None


def _rounds_since_best(losses: Sequence[float]) -> int:
    finite = [loss for loss in losses if not np.isnan(loss)]
    return len(finite) - 1 - int(np.argmin(finite)) if finite else 0
