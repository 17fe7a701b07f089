"""The plot of a path of penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparkgd.ml.display.axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkgd.ml.fitted_path import FittedPath

NAMED = 8
"""Coefficients that are named: the largest at the weak end."""


def plot_path(path: FittedPath, ax: Axes | None = None) -> Axes:
    """One line a coefficient; see `FittedPath.plot`."""
    ax = given_or_new(ax, 8.0, 4.5)
    strengths, coefficients = path.regParams, path.coefficients * path.scale
    outputs, columns = coefficients.shape[1:]
    flat = coefficients.reshape(len(path), outputs * columns)
    largest = [int(entry) for entry in np.argsort(-np.abs(flat[-1]))[:NAMED] if flat[-1, entry] != 0.0]
    others = np.setdiff1d(np.arange(flat.shape[1]), largest)
    if len(others):
        ax.plot(strengths, flat[:, others], color="0.75", lw=0.8)
    names = path.models[0].featureNames
    for entry in largest:
        output, column = divmod(entry, columns)
        ax.plot(strengths, flat[:, entry], lw=1.4, label=names[column] + (f" (class {output})" if outputs > 1 else ""))
    ax.axvline(strengths[path.chosen], color="tab:red", ls="--", lw=1.0)
    ax.set_xscale("log")
    ax.invert_xaxis()
    is_standardised = bool(np.any(path.scale != 1.0))
    ax.set(xlabel="regParam", ylabel="coefficient of the standardised column" if is_standardised else "coefficient")
    counts = path.numNonzeros
    ax.set_title(f"{counts[path.chosen]} of {flat.shape[1]} coefficients at the choice", loc="left", fontsize=11)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if largest:
        ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
