"""Local epochs between a solver's coordinates and the kernel's raw, centred ones."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.kernels.local import EpochKernel, Frame, Steps
from sparkgd.kernels.sums import Sums
from sparkgd.problems.coordinates import Diagonal
from sparkgd.problems.problem import Objective
from sparkgd.solvers.base import EpochRequest, Reply

Array: TypeAlias = npt.NDArray[np.float64]


def epoch_kernel(objective: Objective, request: EpochRequest) -> EpochKernel:
    """The kernel of a request; steps are taken in the objective's (diagonal) coordinates."""
    layout, diagonal = objective.layout, _diagonal(objective)
    return EpochKernel(
        objective.loss,
        layout,
        diagonal.to_raw(request.point),
        frame_of(objective),
        Steps(
            request.first_step, request.last_step, request.epochs, damping=request.damping,
            seed=request.seed, round=request.round,
        ),
        objective.penalty.smooth_curvature(layout.num_weights).reshape(layout.num_outputs, layout.num_features),
        _centred_loss_gradient(objective, request),
        objective.held_out,
    )  # fmt: skip


def frame_of(objective: Objective) -> Frame:
    """The objective's (diagonal) coordinates as kernels take them."""
    diagonal = _diagonal(objective)
    return Frame(diagonal.center, diagonal.scale, diagonal.intercept_scale if objective.layout.fit_intercept else 0.0)


def epoch_reply(objective: Objective, point: Array, sums: Sums) -> Reply:
    """Reply to the sums of local epochs from ``point``: entry by entry the mean move, weighted by information."""
    assert sums.move is not None and sums.information is not None
    known = np.where(sums.information > 0.0, sums.information, 1.0)
    factor = _diagonal(objective).factor
    move = sums.move / known / np.where(factor > 0.0, factor, 1.0)
    return Reply(np.empty(0), np.empty((0, 0)), local_point=point + move)


def _centred_loss_gradient(objective: Objective, request: EpochRequest) -> Array | None:
    """Gradient of the mean loss in raw weights of centred columns, from that of f in solver coordinates."""
    if request.anchor_gradient is None:
        return None
    diagonal = _diagonal(objective)
    penalty = objective.penalty_on_coef.smooth_gradient(diagonal.to_raw(request.point))
    gradient = request.anchor_gradient - diagonal.pull(penalty)
    return np.asarray(gradient / np.where(diagonal.factor > 0.0, diagonal.factor, 1.0))


def _diagonal(objective: Objective) -> Diagonal:
    coordinates = objective.coordinates
    assert isinstance(coordinates, Diagonal), "local solvers ask for diagonal coordinates"
    return coordinates
