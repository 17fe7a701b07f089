"""The plot of a range test of step sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparkgd.ml.display.axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkgd.ml.step_size import StepSizeTest

HEADROOM = 0.6
"""How far above the start the picture reaches, as a share of the largest fall; what diverges leaves it."""


def plot_step_sizes(test: StepSizeTest, ax: Axes | None = None) -> Axes:
    """Objective against step size; see `StepSizeTest.plot`."""
    ax = given_or_new(ax)
    ax.axhline(test.start, color="0.6", ls="--", lw=1.0, label="before")
    ax.plot(test.stepSizes, test.objectives, marker="o", ms=4, label="after one iteration")
    fall = test.start - float(np.nanmin(test.objectives))
    if fall > 0.0:
        ax.axvline(test.suggestion, color="tab:red", lw=1.0, label=f"suggestion: {test.suggestion:.3g}")
        ax.set_ylim(test.start - 1.1 * fall, test.start + HEADROOM * fall)
    ax.set_xscale("log")
    ax.set(xlabel="stepSize", ylabel="objective")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax
