"""The training curve, drawn with matplotlib (an optional dependency)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkgd.ml.summary import TrainingSummary


def plot_history(summary: TrainingSummary, ax: Axes | None = None) -> Axes:
    """Objective (and validation loss, where there is one) against iterations; see `TrainingSummary.plot`."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'sparkgd[plot]'") from error
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
    iterations = np.arange(len(summary.objectiveHistory))
    ax.plot(iterations, summary.objectiveHistory, marker=".", label="objective")
    if summary.validationHistory:
        ax.plot(iterations, summary.validationHistory, marker=".", label="validation loss")
        ax.legend()
    ax.set_xlabel("iteration")
    ax.set_ylabel("objective")
    ax.set_title(f"{summary.solver}, {summary.status} after {summary.totalRounds} rounds", fontsize="medium")
    ax.grid(alpha=0.3)
    ax.margins(x=0.02)
    return ax
