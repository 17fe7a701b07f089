"""What a loss is: a pointwise function of a label and a raw prediction.

Notation (the same in every loss): ``y`` label, ``z`` raw prediction (``x . weights + intercept + offset``),
``l(y, z)`` the loss of one row. No loss knows features, weights, penalties or data placement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from sparkgd.exceptions import InvalidParamError

Array = npt.NDArray[np.float64]

PIECES = 6
"""Pieces of a piecewise linear loss, at most: three on each side of zero slope."""

RowDerivative = Callable[[float, float, Array, Array], None]
"""``f(parameter, label, raw_prediction, out)``: one row's derivative, written to ``out``."""


@dataclass(frozen=True)
class LabelRange:
    """The labels that a loss accepts: an interval, of integers only where ``integer`` is set."""

    low: float = -np.inf
    high: float = np.inf
    low_open: bool = False
    integer: bool = False

    def __str__(self) -> str:
        kind = "integers" if self.integer else "numbers"
        if np.isinf(self.low) and np.isinf(self.high):
            return f"finite {kind}"
        if np.isinf(self.high):
            return f"{kind} {'>' if self.low_open else '>='} {self.low:g}"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def allows(self, low: float, high: float, integer: bool) -> bool:
        """Whether labels between ``low`` and ``high`` (all integers if ``integer``) are accepted."""
        above = low > self.low if self.low_open else low >= self.low
        return above and high <= self.high and (integer or not self.integer)


@dataclass(frozen=True)
class LabelSummary:
    """What ingest knows of the labels: enough for every null model.

    Attributes
    ----------
    weight_sum : float
        Sum of the sample weights.
    mean, variance : float
        Weighted mean and weighted population variance.
    low, high : float
        Smallest and largest label.
    integer : bool
        Whether every label is an integer.
    class_weights : mapping of int to float
        Weight sum of each label value, when all labels are small non-negative integers; else empty.
    """

    weight_sum: float
    mean: float
    variance: float
    low: float
    high: float
    integer: bool = False
    class_weights: Mapping[int, float] = field(default_factory=dict)


class Loss(ABC):
    """A pointwise loss: frozen settings, compared and hashed by value, picklable.

    Shapes: with ``num_outputs == 1``, ``label`` broadcasts against ``raw_prediction`` and all results have the shape
    of ``raw_prediction``. With ``K = num_outputs > 1`` the last axis of ``raw_prediction`` and of the derivative has
    length K, and ``label`` and the value lack that axis.

    Raw predictions for which a loss is not defined have the value ``inf`` and the derivative 0, so that a line search
    turns back from them.

    Attributes
    ----------
    is_smooth : bool
        Whether the derivative is continuous. Gradient solvers need it.
    can_be_smoothed : bool
        For a loss that is not smooth: whether `smoothed`, `typical_width` and `conjugate` are available, with which
        solvers for smooth losses work.
    can_be_curved : bool
        For a loss with straight parts, where its curvature is 0: whether `curved` is available.
    is_piecewise_linear : bool
        Whether `pieces` is available, by which many rows can be condensed to few.
    has_curvature : bool
        Whether `curvature` is available, as `newton` and `newton-cg` need.
    is_convex : bool
        Whether the loss is convex in the raw prediction, for every label.
    is_quadratic : bool
        Whether the curvature is the same for every raw prediction.
    row_derivative : callable or None
        The derivative (or a subgradient) of one row, in plain arithmetic that numba can compile: a function of
        `row_parameter`, label and raw prediction (K,) that fills an array (K,). The local solvers need it.
    """

    is_smooth: ClassVar[bool] = True
    can_be_smoothed: ClassVar[bool] = False
    can_be_curved: ClassVar[bool] = False
    is_piecewise_linear: ClassVar[bool] = False
    is_convex: ClassVar[bool] = True
    is_quadratic: ClassVar[bool] = False
    row_derivative: ClassVar[RowDerivative | None] = None

    @property
    @abstractmethod
    def name(self) -> str:
        """How messages call the loss; for built-in ones the name under which estimators know it."""

    @property
    def has_curvature(self) -> bool:
        """Whether `curvature` is available."""
        return True

    @property
    def label_range(self) -> LabelRange:
        """The labels for which the loss is defined."""
        return LabelRange()

    @property
    def curvature_bound(self) -> float | None:
        """Upper bound of the curvature (of its largest eigenvalue, with K outputs) everywhere; None: no bound."""
        return None

    @property
    def num_outputs(self) -> int:
        """Raw predictions per row."""
        return 1

    @property
    def row_parameter(self) -> float:
        """The loss's setting that `row_derivative` needs."""
        return 0.0

    @property
    def num_scalars(self) -> int:
        """How many of the outputs, the last ones, are scales: positive, the same for all rows, without weights."""
        return 0

    @abstractmethod
    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        """``l(y, z)`` and ``dl/dz``, element by element."""

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        """``d2l/dz2``; with K outputs the matrix of shape ``(..., K, K)``."""
        raise NotImplementedError(f"the {self.name} loss has no curvature")

    def curved(self, share: float) -> Loss:
        """The same values, but a curvature of the straight parts too: ``share`` of that which a bound from above has.

        Newton's method, which believes in the curvature, goes much too far where too few rows have any. With a share
        of 1 the model lies above the loss, so that its minimiser is no further than the loss's.
        """
        raise NotImplementedError(f"the {self.name} loss has no straight parts")

    def smoothed(self, width: float) -> Loss:
        """For a loss that is not smooth: a smooth one below it, the nearer the smaller ``width``."""
        raise NotImplementedError(f"the {self.name} loss is not smoothed")

    def typical_width(self, label: LabelSummary) -> float:
        """For a loss that is not smooth: a width within which most rows are at the null model."""
        raise NotImplementedError(f"the {self.name} loss is not smoothed")

    def conjugate(self, label: Array, derivative: Array) -> Array:
        """For a loss that is not smooth, whose least value is 0: ``sup_z [derivative z - l(y, z)]``, maybe inf."""
        raise NotImplementedError(f"the conjugate of the {self.name} loss is not known")

    def pieces(self, label: Array, raw_prediction: Array) -> tuple[npt.NDArray[np.intp], Array]:
        """For a piecewise linear loss: the number of each row's piece, below `PIECES`, and its distance to a kink.

        As a function of label and raw prediction together the loss is linear over the rows of a piece, and convex over
        the pieces of one parity.
        """
        raise NotImplementedError(f"the {self.name} loss is not known to be piecewise linear")

    def for_labels(self, label: LabelSummary) -> Loss:
        """The loss as it is trained, with what it needs to know of the labels' unit."""
        return self

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The prediction (a mean, a probability, a quantile) that a raw prediction stands for."""
        return raw_prediction

    def accepts(self, raw_prediction: Array) -> npt.NDArray[np.bool_]:
        """Which raw predictions the loss is defined for."""
        return np.ones(np.shape(raw_prediction), dtype=bool)

    def approaches(self, label: LabelSummary) -> Sequence[Loss]:
        """For a loss that does not accept everything: losses that do, to be minimised in turn to find where to start.

        Each asks for less than the one before. Where the last is zero this one is finite, well within what it accepts.
        """
        return ()

    @abstractmethod
    def null_intercept(self, label: LabelSummary) -> Array:
        """Raw prediction of shape ``(num_outputs,)`` of the best (or a good) model without features."""

    def best_prediction(self, label: float) -> Array | None:
        """Raw prediction of shape ``(num_outputs,)`` of least loss for one label; None where it is not known.

        Entries are infinite where the loss falls forever, and then it falls to 0. A label that all rows share decides a
        model with this (see `sparkgd.training.constant_label`).
        """
        return None

    def typical_curvature(self, label: LabelSummary) -> float:
        """A positive scale of the curvature near the null model, for preconditioning."""
        if self.curvature_bound is not None:
            return self.curvature_bound
        curvature = self.curvature(np.array([label.mean]), self.null_intercept(label))
        return max(float(np.max(curvature)), 1e-12)


def check_setting(allowed: bool, loss: str, setting: str, given: float, need: str) -> None:
    """Refuse a loss's setting that is not allowed.

    Raises
    ------
    InvalidParamError
    """
    if not allowed:
        raise InvalidParamError(f"the {loss} loss has {setting}={given!r}; it must be {need}")
