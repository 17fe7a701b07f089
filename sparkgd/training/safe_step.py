"""A step size that cannot be too long, where a search for a longer one begins."""

from __future__ import annotations

from sparkgd.training.outline import TrainingSet, outlined
from sparkgd.training.plan import Stages
from sparkgd.training.settings import FitSettings


def safe_step(settings: FitSettings, data: TrainingSet) -> Stages[float]:
    """The inverse of the trace of the Hessian's bound: no eigenvalue is larger, and the largest is at least a p-th."""
    outline = yield from outlined(settings, data)
    return 1.0 / (outline.context.loss_curvature * outline.context.row_length)
