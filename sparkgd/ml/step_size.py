"""A range test of step sizes: what one iteration with each makes of the objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.sql import DataFrame

from sparkgd.exceptions import DivergedError, SparkGDError
from sparkgd.ml.errors import IncompatibleError
from sparkgd.ml.fitting import fits_of, packed
from sparkgd.ml.model_fits import Training, ending_of, found_by, progress_of
from sparkgd.training.history import Outcome
from sparkgd.training.safe_step import safe_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkgd.ml.estimator import LinearEstimator

Array = npt.NDArray[np.float64]

STEPPERS = ("gd", "sgd", "nesterov", "localSGD", "localSVRG")
"""Solvers that take a step size."""

STEPS = 40
"""How many step sizes are tried, in equal ratios."""

BELOW, ABOVE = 0.1, 20.0
"""From this share of the step that is safe for any data, to this multiple of the longest that may work for some."""

NONE = 1e-9
"""Of the shortest step: one with which the objective stays what it is before, as stochastic solvers do not tell it."""

SHARE = 0.5
"""Of the step that lowers the objective most: later steps meet curvatures that the first one did not."""


@dataclass(frozen=True, eq=False)
class StepSizeTest:
    """What one iteration with each step size makes of the objective.

    Attributes
    ----------
    stepSizes : ndarray (n,)
        Rising, in equal ratios.
    objectives : ndarray (n,)
        After one iteration; nan where it is not finite.
    start : float
        Objective before it.
    """

    stepSizes: Array = field(repr=False)
    objectives: Array = field(repr=False)
    start: float

    @property
    def suggestion(self) -> float:
        """Half the step size that lowers the objective most; the next iterations may meet larger curvatures.

        Raises
        ------
        DivergedError
            If none lowers it.
        """
        if not np.any(self.objectives < self.start):
            raise DivergedError(
                f"no step size lowers the objective from {self.start:.6g}; is this its minimum already?"
            )
        return float(SHARE * self.stepSizes[np.nanargmin(self.objectives)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the objective after one iteration against the step size, and the suggestion as a vertical line.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'sparkgd[plot]'``.
        """
        from sparkgd.ml.display.step_size import plot_step_sizes

        return plot_step_sizes(self, ax)


def step_size_test(dataset: DataFrame, estimator: LinearEstimator[Any]) -> StepSizeTest:
    """The range test; see `LinearEstimator.findStepSize`."""
    name = estimator.getOrDefault("solver")
    if name not in STEPPERS:
        works = ", ".join(repr(each) for each in STEPPERS)
        raise IncompatibleError(f"solver={name!r} takes no stepSize, so there is none to find; set solver to {works}")
    unit = _probe(estimator, 1.0)
    unit._check()
    with packed(dataset, [unit]) as data:
        shortest = found_by(unit._fit_of(data), safe_step)
        columns = len(data.rows.statistics.mean)
        steps = shortest * np.geomspace(BELOW, ABOVE * (columns + 1.0), STEPS)
        refused: dict[int, SparkGDError] = {}
        tried = [NONE * steps[0], *steps]
        probes = {number: _probe(estimator, float(step)) for number, step in enumerate(tried)}
        fits = fits_of(probes, data, refused)
        with progress_of(list(fits.values())) as line:
            outcomes = Training(line).outcomes(fits, {number: fit.plan() for number, fit in fits.items()})
            if line is not None:
                line.finish(ending_of(list(outcomes.values())))
    for error in [*refused.values(), *outcomes.values()]:
        if isinstance(error, SparkGDError):
            raise error
    ends = np.array([_last(outcomes[number]) for number in range(len(tried))])
    return StepSizeTest(steps, np.where(np.isfinite(ends[1:]), ends[1:], np.nan), float(ends[0]))


def _probe(estimator: LinearEstimator[Any], step: float) -> LinearEstimator[Any]:
    """The estimator with a step size, for one iteration."""
    given = {"stepSize": step, "maxIter": 1, "tol": 0.0}
    probe = estimator.copy({estimator.getParam(name): value for name, value in given.items()})
    probe.clear(probe.getParam("checkpointDir"))
    return probe


def _last(outcome: Outcome | SparkGDError) -> float:
    return outcome.objectives[-1] if isinstance(outcome, Outcome) and len(outcome.objectives) > 1 else np.nan
