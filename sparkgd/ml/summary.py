"""What a fit tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkgd.engine.base import PartitionStat
from sparkgd.ml.training_data import TrainingData
from sparkgd.training.fit import Fitted
from sparkgd.training.history import Outcome, StageRecord

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from pyspark.sql import DataFrame


class TrainingSummary:
    """History and ending of a fit.

    Attributes
    ----------
    status : str
        ``converged``, ``max iterations``, ``time budget``, ``stopped early``, ``stalled`` or ``diverged``; of a
        sub-model whose map a search did not train to the end, ``retired``.
    statusReason : str
        Why, in words and numbers.
    solver, solverReason : str
        The solver that was used, and why.
    execution : str
        Where rounds ran: ``cluster`` or ``driver``.
    storage : str
        What kept the rows between rounds, and why, if local files of executors did not last.
    objective : float
        Of the model: the last of the history, or with validation that of the best iteration.
    totalIterations, totalRounds : int
        Iterations of the solver over all rows, and passes over the data after ingest.
    objectiveHistory, gradientNormHistory : list of float
        One entry an iteration, the first at the starting point. The gradient norm is measured in the solver's
        coordinates, in which the Hessian is about 1. A stochastic solver's entries are those of its batches, except the
        last.
    validationHistory : list of float
        Mean loss of the validation rows, one entry an iteration; empty without validation.
    dualityGap : float
        A proven bound of the objective above its minimum, for losses with kinks (hinge, quantile, epsilonInsensitive):
        small where every weight is penalised, else the objective itself. Infinite for other losses.
    secondsPerRound : list of float
    ingestSeconds : float
    pilotSeconds : float
        Time of rounds over few rows in the driver process that prepared those over all; 0 where there were none.
    stages : list of StageRecord
        What was done, in this order, with rounds and seconds of each.
    partitionStats : list of PartitionStat
    """

    def __init__(self, outcome: Outcome, data: TrainingData) -> None:
        fitted: Fitted = outcome.result
        self.status: str = outcome.ending.status.value
        self.statusReason: str = "; ".join(filter(None, [outcome.ending.reason, _earlier(outcome), fitted.caveat]))
        self.solver: str = fitted.choice.name
        self.solverReason: str = fitted.reason
        self.objective: float = outcome.objective
        self.execution: str = data.engine.execution
        self.storage: str = data.engine.storage
        self.totalIterations: int = outcome.iterations
        self.objectiveHistory: list[float] = outcome.objectives
        self.gradientNormHistory: list[float] = outcome.gradient_norms
        self.validationHistory: list[float] = outcome.held_out_losses if data.held_out >= 0 else []
        self.dualityGap: float = outcome.duality_gap
        self.secondsPerRound: list[float] = outcome.seconds
        self.totalRounds: int = len(self.secondsPerRound)
        self.ingestSeconds: float = data.seconds
        self.pilotSeconds: float = outcome.local_seconds
        self.stages: list[StageRecord] = outcome.stages
        self.partitionStats: list[PartitionStat] = data.partitions

    def __repr__(self) -> str:
        rows, parts = sum(part.rows for part in self.partitionStats), len(self.partitionStats)
        storage = f"; {self.storage}" if " since " in self.storage else ""
        pilot = f"{self.pilotSeconds:.2f} for a pilot, " if self.pilotSeconds else ""
        lines = {
            "status": f"{self.status}: {self.statusReason}",
            "solver": f"{self.solver}: {self.solverReason}",
            "execution": f"{self.execution}: {rows} rows, {parts} partition{'s' * (parts != 1)}{storage}",
            "iterations": f"{self.totalIterations} in {self.totalRounds} rounds",
            "objective": f"{self.objective:.8g}",
            "seconds": f"{self.ingestSeconds:.2f} for ingest, {pilot}{sum(self.secondsPerRound):.2f} for rounds",
        }
        return "\n".join([type(self).__name__, *(f"  {name:<12}{text}" for name, text in lines.items())])

    def _found(self) -> dict[str, Any] | None:
        """What the rows have been asked since the fit, for whoever saves it; None if they cannot be asked."""
        return None

    def _recall(self, found: dict[str, Any]) -> None:
        """Take over what `_found` told."""

    def _ask_all(self) -> None:
        """Ask the rows all that can be saved."""

    def _table_or_none(self) -> pd.DataFrame | None:
        """The table of coefficients with standard errors; None where there are none."""
        return None

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw objective, validation loss (where there is one) and gradient norm against iterations.

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
        from sparkgd.ml.display.plot import plot_history

        return plot_history(self, ax)


def _earlier(outcome: Outcome) -> str:
    """Which iteration the model is of, if not of the last."""
    best, last = outcome.last.best, len(outcome.last.objectives) - 1
    return "" if best == last else f"the model is that of iteration {best}, which has the least validation loss"


class HasSummary:
    """A model with the summary of its training, which is saved with it."""

    _summary: Any = None

    @property
    def hasSummary(self) -> bool:
        """Whether there is a summary: the model was fitted, or loaded with the summary that was saved with it."""
        return self._summary is not None

    @property
    def summary(self) -> TrainingSummary:
        """Summary of the training; that of a loaded model knows what it had been asked before the model was saved.

        Raises
        ------
        RuntimeError
            If the model has none.
        """
        if self._summary is None:
            raise RuntimeError(
                f"No training summary available for this {type(self).__name__}: it was not fitted here, and none was "
                "saved with it"
            )
        return self._summary  # type: ignore[no-any-return]

    def _summary_of(self, training: TrainingSummary, dataset: DataFrame | None, estimator: Any) -> TrainingSummary:
        """The summary of a fit that went like ``training``; ``dataset`` is None where its rows are gone."""
        return training
