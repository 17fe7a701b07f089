"""The training curve, drawn with matplotlib (an optional dependency)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparkgd.ml.display.axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkgd.ml.summary import TrainingSummary

OBJECTIVE, VALIDATION, GRADIENT = "tab:blue", "tab:orange", "0.6"


def plot_history(summary: TrainingSummary, ax: Axes | None = None) -> Axes:
    """Objective, validation loss (where there is one) and gradient norm; see `TrainingSummary.plot`."""
    ax = given_or_new(ax)
    from matplotlib.ticker import MaxNLocator

    _draw(ax, summary.objectiveHistory, "objective", OBJECTIVE)
    if summary.validationHistory:
        _draw(ax, summary.validationHistory, "validation loss", VALIDATION)
    _draw_gradient(ax, summary.gradientNormHistory)
    ax.set(xlabel="iteration", ylabel="objective")
    ax.set_title(f"{summary.solver}: {summary.status} after {summary.totalRounds} rounds", loc="left", fontsize=11)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.25)
    return ax


def _draw(ax: Axes, values: list[float], label: str, color: str) -> None:
    """One curve; single points are marked while they are few."""
    ax.plot(np.arange(len(values)), values, color=color, label=label, marker="o" if len(values) <= 50 else "", ms=4)


def _draw_gradient(ax: Axes, norms: list[float]) -> None:
    """The gradient norm on a logarithmic axis at the right, behind the objective, and the legend of both."""
    right = ax.twinx()
    right.plot(np.arange(len(norms)), norms, color=GRADIENT, linestyle="--", label="gradient norm (right)")
    if max(norms, default=0.0) > 0.0:
        right.set_yscale("log")
    right.set_ylabel("gradient norm", color="0.4")
    right.tick_params(axis="y", which="both", colors="0.4")
    right.spines["top"].set_visible(False)
    ax.spines["top"].set_visible(False)
    handles = [*ax.get_lines(), *right.get_lines()]
    ax.legend(handles, [str(line.get_label()) for line in handles], frameon=False)
    ax.set_zorder(right.get_zorder() + 1)
    ax.patch.set_visible(False)
