"""Models that a label decides by itself, because every training row has the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Statistics
from sparkgd.kernels.layout import CoefLayout
from sparkgd.training.settings import FitSettings

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DecidedModel:
    """A model that is known without looking at a feature.

    Attributes
    ----------
    weights : ndarray (K, p)
        Zero, or what bounds allow that is nearest.
    intercepts : ndarray (K,)
        The best raw prediction for the label; maybe infinite.
    objective : float
        That of the model; where it has an infinite intercept, the bound that the objective falls to.
    """

    weights: Array
    intercepts: Array
    objective: float


def decided_model(settings: FitSettings, statistics: Statistics, has_offset: bool) -> DecidedModel | None:
    """The model that minimises the objective whatever the features are, if their rows share a label that has one.

    The loss of every row is least where each raw prediction is the best for the label, and the penalty where the
    weights are zero. Intercepts can be that prediction unless bounds, or that there are none, keep them from it. An
    offset of each row would have to be made up for by weights, but not where the prediction is infinite: there it
    changes nothing, and neither do weights that bounds keep from zero.

    Parameters
    ----------
    settings : FitSettings
    statistics : Statistics
        Of the rows trained on.
    has_offset : bool
        Whether rows have offsets of their own.

    Returns
    -------
    DecidedModel or None
        None: the features have a say, or the loss does not know its `best_prediction`.
    """
    label = statistics.label_low
    best = settings.loss.best_prediction(label) if label == statistics.label_high else None
    if best is None:
        return None
    layout = CoefLayout(
        len(statistics.mean), settings.loss.num_outputs, settings.fit_intercept, settings.loss.num_scalars
    )
    intercepts = _reachable(best, settings, layout)
    is_infinite = bool(np.isinf(best).any())
    if intercepts is None or (has_offset and not is_infinite):
        return None
    penalty = settings.penalty(statistics, layout.num_linear)
    flat = penalty.project(np.zeros(layout.num_weights))
    if flat.any() and not is_infinite:
        return None
    value = 0.0 if is_infinite else _loss_of(label, best, settings)
    objective = value + penalty.value(flat)
    if not np.isfinite(objective):  # bounds beyond what can be squared: the fit says so
        return None
    weights = layout.weights(np.concatenate([flat, np.zeros(layout.num_intercepts)]))
    return DecidedModel(weights, intercepts, objective)


def _reachable(best: Array, settings: FitSettings, layout: CoefLayout) -> Array | None:
    """Intercepts that give the best prediction, or as good a one; None where there are none such."""
    if best[: layout.num_outputs - layout.num_intercepts].any():
        return None
    intercepts = settings.intercept_penalty.project(best) if settings.fit_intercept else best
    # Next to an infinite prediction, finite ones do not matter.
    matters = np.isinf(best) if np.isinf(best).any() else np.ones(len(best), dtype=bool)
    return intercepts if np.array_equal(intercepts[matters], best[matters]) else None


def _loss_of(label: float, raw: Array, settings: FitSettings) -> float:
    prediction = raw if settings.loss.num_outputs > 1 else raw[0]
    return float(settings.loss.value_and_derivative(np.asarray(label), np.asarray(prediction))[0])
