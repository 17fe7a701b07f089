"""The cost model behind ``solver="auto"``."""

from __future__ import annotations

from dataclasses import dataclass

from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses.base import Loss
from sparkgd.penalties import Penalty

NEWTON_SIZE = 512
"""Coefs up to which a Hessian in every round is cheap."""


@dataclass(frozen=True)
class Choice:
    """A solver's name and why it was chosen."""

    name: str
    reason: str


def choose_solver(loss: Loss, penalty: Penalty, layout: CoefLayout) -> Choice:
    """The solver for a problem.

    A round over a cluster costs a job's latency, tens of milliseconds, before the first row is read, so what counts is
    the number of rounds. Newton needs 3 to 15; its Hessian costs ``rows * size^2`` operations a round, little while
    ``size`` is small. L-BFGS needs 10 to 100 rounds, each at the price of reading the data. A loss with kinks is
    smoothed, which gives it a curvature and takes 20 to 50 rounds of Newton.
    """
    has_curvature = loss.has_curvature or loss.can_be_smoothed
    if layout.size <= NEWTON_SIZE and has_curvature and penalty.is_piecewise:
        return Choice("newton", f"{layout.size} coefs: a Hessian in each round is cheap and saves rounds")
    if not penalty.is_piecewise:
        return Choice("nesterov", "the penalty ties weights together in groups: only methods by its prox apply")
    return Choice("l-bfgs", f"{layout.size} coefs: too many for a Hessian in each round")
