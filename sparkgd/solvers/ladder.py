"""Line search by a ladder of steps tried in one round.

A round costs nearly the same for eight points as for one, so instead of trying steps one after the other a solver asks
for a whole ladder and takes the best rung.
"""

from __future__ import annotations

import numpy as np

from sparkgd.solvers.base import Array

SUFFICIENT_DECREASE = 1e-4
"""Armijo's constant (1966)."""

ROUNDING = 1e-13
"""Relative change of an objective that rounding may cause; below it gradients tell more than values."""


def best_rung(value: float, residual: float, trial_values: Array, trial_residuals: Array, predicted: Array) -> int:
    """Index of the best acceptable trial, -1 if none is acceptable.

    Parameters
    ----------
    value, residual : float
        Objective and optimality residual at the current point.
    trial_values, trial_residuals : ndarray (m,)
        The same at the trial points.
    predicted : ndarray (m,)
        Decrease (positive) that a linear model predicts for each trial; Armijo's rule asks for a fraction of it.

    Notes
    -----
    Where objectives differ by no more than rounding can make them differ, a trial is acceptable if its residual is
    smaller, and the trial of the smallest residual is the best.
    """
    noise = ROUNDING * max(abs(value), np.finfo(float).tiny)
    finite = np.isfinite(trial_values)
    decreased = finite & (trial_values <= value - SUFFICIENT_DECREASE * predicted) & (predicted > 0.0)
    clearly = decreased & (value - trial_values > noise)
    if clearly.any():
        return int(np.argmin(np.where(clearly, trial_values, np.inf)))
    level = finite & (np.abs(trial_values - value) <= noise) & (trial_residuals < residual)
    return int(np.argmin(np.where(level, trial_residuals, np.inf))) if level.any() else -1
