"""The solvers by name: what each needs, as data, and how it is built.

A new solver is one file and one entry here. What an entry demands is checked before the first round; a mismatch is
refused with a sentence that says what would work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkgd.exceptions import IncompatibleError
from sparkgd.losses.base import Loss
from sparkgd.penalties import Penalty
from sparkgd.solvers.base import Solver
from sparkgd.solvers.gd import GradientDescent
from sparkgd.solvers.lbfgs import Lbfgs
from sparkgd.solvers.local_sgd import LocalSgd
from sparkgd.solvers.local_svrg import LocalSvrg
from sparkgd.solvers.nesterov import Nesterov
from sparkgd.solvers.newton import KEEPING, KEEPING_IN_COMPANY, Newton
from sparkgd.solvers.newton_cg import NewtonCg
from sparkgd.solvers.schedules import SCHEDULES, Schedule
from sparkgd.solvers.settings import Scaling, SolverContext, SolverSettings
from sparkgd.solvers.sgd import Batches, BernoulliBatches, StochasticGradientDescent, UniformBatches
from sparkgd.solvers.smoothing import Smoothing
from sparkgd.solvers.steepest import SteepestDescent
from sparkgd.solvers.updates import UPDATES

STEADY = 0.5
"""First step of local SVRG, as a share of local SGD's: its steps do not fall."""

SURE_ROWS = 500
"""Sampled rows for each coef from which on their Hessian, wrong by a twentieth, is as good as one of all rows."""

CHEAP_HESSIAN = 1e10
"""Products up to which a Hessian takes a few cores about as long as the Spark jobs that a better one spares."""

_BY_ROW = "it steps row by row; localEpochs says how often it goes over them, mini-batches are for solver='sgd'"
_PLAIN = "its steps are those of plain SGD; momentum and adaptive steps are for solver='sgd'"

NOT_LOCAL = {
    "schedule": ("schedule", "its steps fall by a rule of their own; stepSize sets the first of them"),
    "momentum": ("momentum", _PLAIN),
    "updater": ("updater", _PLAIN),
    "averaging": ("averaging", "it averages the last iterates of an epoch anyway; leave it out"),
    "batch_size": ("batchSize", _BY_ROW),
    "fraction": ("miniBatchFraction", _BY_ROW),
}
"""Settings that local solvers have no use for: their params, and what to use instead."""


HISTORY_BYTES = 1 << 29
"""Memory that L-BFGS may use for its pairs; five are kept in any case."""

ROUND_BYTES = 1 << 26
"""Size up to which the points of a line search are tried in one round."""


@dataclass(frozen=True)
class SolverEntry:
    """A solver's requirements and constructor.

    Attributes
    ----------
    scaling : callable
        The coordinates that it wants under given settings.
    build : callable
    needs_curvature : bool
        Whether the loss must have a curvature.
    takes_rough : bool
        Whether it handles penalties that are not differentiable, by their prox or by their linear pieces.
    needs_pieces : bool
        Whether the rough part must be piecewise linear: L1 and bounds are, groups are not.
    takes_kinks : bool
        Whether it handles losses with kinks, by `Smoothing`.
    is_local : bool
        Whether it steps row by row on the executors: the loss must have a `row_derivative`.
    takes_subgradients : bool
        Whether it does without smoothing of kinks, content with subgradients.
    refused : callable
        Says what stands against some settings.
    """

    scaling: Callable[[SolverSettings], Scaling]
    build: Callable[[SolverContext], Solver[Any]]
    needs_curvature: bool = False
    takes_rough: bool = False
    needs_pieces: bool = False
    takes_kinks: bool = False
    is_local: bool = False
    takes_subgradients: bool = False
    refused: Callable[[SolverSettings], Iterator[str]] = lambda settings: iter(())

    def refusal(self, loss: Loss, penalty: Penalty) -> str | None:
        """What stands against this loss and penalty, if anything."""
        if self.is_local and type(loss).row_derivative is None:
            return f"the {loss.name} loss has no derivative for single rows"
        is_handled = self.takes_subgradients or (self.takes_kinks and loss.can_be_smoothed)
        if not loss.is_smooth and not is_handled:
            return f"the {loss.name} loss is not differentiable"
        if self.needs_curvature and loss.is_smooth and not loss.has_curvature:
            return f"the {loss.name} loss has no curvature"
        if not self.takes_rough and not penalty.is_smooth:
            return "the penalty has a part that is not differentiable (L1, bounds or groups)"
        if self.needs_pieces and not penalty.is_piecewise:
            return "the penalty ties weights together in groups; only L1 and bounds, weight by weight, are handled"
        return None


def _step_scaling(settings: SolverSettings) -> Scaling:
    return Scaling.DIAGONAL if settings.step_size is None else Scaling.STEP


def _rows_or_step_scaling(settings: SolverSettings) -> Scaling:
    return Scaling.ROWS if settings.step_size is None else Scaling.STEP


def _full_or_step_scaling(settings: SolverSettings) -> Scaling:
    return Scaling.FULL if settings.step_size is None else Scaling.STEP


def check_settings(settings: SolverSettings) -> None:
    """Refuse settings that the named solver has no use for.

    Raises
    ------
    IncompatibleError
    """
    if settings.name != "auto":
        for refusal in SOLVERS[settings.name].refused(settings):
            raise IncompatibleError(refusal)


def _schedule(context: SolverContext, default_step: float, default_schedule: str) -> Schedule:
    settings = context.settings
    step = default_step if settings.step_size is None else settings.step_size
    name = default_schedule if settings.schedule == "auto" else settings.schedule
    return SCHEDULES[name](step).over(context.max_iterations)


def _gradient_descent(context: SolverContext) -> Solver[Any]:
    """Line search, unless the user named a step, momentum or another schedule."""
    settings = context.settings
    step = 1.0 / context.largest_curvature
    search = settings.schedule == "auto" and settings.step_size is None and not settings.momentum
    if search or settings.schedule == "lineSearch":
        return SteepestDescent(settings.step_size or step, context.penalty)
    return GradientDescent(_schedule(context, step, "constant"), settings.momentum, context.penalty)


def _nesterov(context: SolverContext) -> Solver[Any]:
    return Nesterov(context.settings.step_size or 1.0, context.penalty)


def _newton(context: SolverContext) -> Solver[Any]:
    # A loss that is smoothed over a width has a curvature that changes too abruptly to be kept.
    keeping = -1.0
    if context.smoothing_width is None:
        keeping = KEEPING_IN_COMPANY if context.shares_gradients else KEEPING
    is_cheap = context.rows * context.coefs**2 <= CHEAP_HESSIAN
    is_rough = context.sampled_rows < SURE_ROWS * context.coefs
    # In company gradients cost next to nothing; but a quadratic needs no more than the one Hessian of its own.
    is_worth_it = context.is_quadratic or not context.shares_gradients
    return Newton(
        context.penalty,
        context.is_quadratic,
        keeping,
        is_cheap and is_rough and is_worth_it,
        scales=context.scales,
        can_be_curved=context.can_be_curved,
    )


def _stochastic(context: SolverContext) -> Solver[Any]:
    settings = context.settings
    batches: Batches
    if settings.batch_size is not None:
        batches = UniformBatches(settings.unsigned_seed, settings.batch_size, context.rows)
        batch = settings.batch_size
    else:
        batches = BernoulliBatches(settings.unsigned_seed, settings.fraction)
        batch = max(int(settings.fraction * context.rows), 1)
    # A batch's Hessian is that of all rows plus noise that falls with the batch: stable steps are about its inverse.
    update = UPDATES[settings.updater](settings.momentum)
    curvature = update.gain * (context.largest_curvature + context.row_curvature / batch)
    step = update.natural_step or 1.0 / curvature
    schedule = _schedule(context, step, "inverseSqrt")
    return StochasticGradientDescent(batches, schedule, update, settings.averaging, context.tol, context.penalty)


def _local(method: type[LocalSgd] | type[LocalSvrg], share: float) -> Callable[[SolverContext], Solver[Any]]:
    """Builder of a local solver; ``share`` is that of a typical row's inverse curvature that its first step takes."""

    def build(context: SolverContext) -> Solver[Any]:
        settings = context.settings
        step = settings.step_size or share / (context.loss_curvature * context.row_length)
        return method(step, settings.local_epochs, settings.unsigned_seed, context.loss_curvature)

    return build


def _lbfgs(context: SolverContext, name: str) -> Lbfgs:
    """With fewer pairs and trial steps where coefs are so many that they would not fit in memory, or in messages."""
    point_bytes = 8 * max(context.coefs, 1)
    memory = int(np.clip(HISTORY_BYTES // (2 * point_bytes), 5, Lbfgs.memory))
    trials = int(np.clip(ROUND_BYTES // point_bytes, 1, Lbfgs.trials))
    return Lbfgs(memory, trials, context.penalty, name, context.metric)


def _not_local(settings: SolverSettings) -> Iterator[str]:
    """Settings that were changed but would change nothing in a local solver."""
    for name, (param, instead) in NOT_LOCAL.items():
        value = getattr(settings, name)
        if value != getattr(SolverSettings(), name):
            yield f"{param}={value!r} cannot be used with solver={settings.name!r}: {instead}"


def _no_line_search(settings: SolverSettings) -> Iterator[str]:
    """A schedule that only gradient descent over all rows has."""
    if settings.schedule not in ("auto", *SCHEDULES):
        works = ", ".join(repr(known) for known in ("auto", *SCHEDULES))
        yield f"schedule={settings.schedule!r} cannot be used with solver={settings.name!r}; give one of {works}"


SOLVERS: dict[str, SolverEntry] = {
    "gd": SolverEntry(_step_scaling, _gradient_descent, takes_rough=True),
    "nesterov": SolverEntry(_full_or_step_scaling, _nesterov, takes_rough=True),
    "sgd": SolverEntry(_step_scaling, _stochastic, takes_rough=True, refused=_no_line_search),
    "localSGD": SolverEntry(
        _rows_or_step_scaling, _local(LocalSgd, 1.0), is_local=True, takes_subgradients=True, refused=_not_local
    ),
    "localSVRG": SolverEntry(_rows_or_step_scaling, _local(LocalSvrg, STEADY), is_local=True, refused=_not_local),
    "l-bfgs": SolverEntry(
        lambda _: Scaling.FULL,
        lambda context: _lbfgs(context, "l-bfgs"),
        takes_rough=True,
        needs_pieces=True,
        takes_kinks=True,
    ),
    "owlqn": SolverEntry(
        lambda _: Scaling.DIAGONAL,
        lambda context: _lbfgs(context, "owlqn"),
        takes_rough=True,
        needs_pieces=True,
        takes_kinks=True,
    ),
    "newton": SolverEntry(
        lambda _: Scaling.DIAGONAL,
        _newton,
        needs_curvature=True,
        takes_rough=True,
        needs_pieces=True,
        takes_kinks=True,
    ),
    "newton-cg": SolverEntry(lambda _: Scaling.DIAGONAL, lambda _: NewtonCg(), needs_curvature=True, takes_kinks=True),
}
"""Every solver by the name that users give it."""


def build_solver(name: str, context: SolverContext) -> Solver[Any]:
    """The solver of that name, smoothing the loss if it has kinks.

    Raises
    ------
    IncompatibleError
        If it has no use for some of the settings.
    """
    check_settings(context.settings)
    solver = SOLVERS[name].build(context)
    if context.smoothing_width is None or not SOLVERS[name].takes_kinks:
        return solver
    return Smoothing(solver, context.smoothing_width, context.tol, context.penalty)


def working_solvers(loss: Loss, penalty: Penalty) -> list[str]:
    """Names of the solvers that take this loss and penalty."""
    return [name for name, entry in SOLVERS.items() if entry.refusal(loss, penalty) is None]
