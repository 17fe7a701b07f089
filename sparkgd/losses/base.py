"""What a loss is: a pointwise function of a label and a raw prediction.

Notation (the same in every loss): ``y`` label, ``z`` raw prediction (``x . weights + intercept + offset``),
``l(y, z)`` the loss of one row. No loss knows features, weights, penalties or data placement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


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
    """A pointwise loss.

    Shapes: with ``num_outputs == 1``, ``label`` broadcasts against ``raw_prediction`` and all results have the shape
    of ``raw_prediction``. With ``K = num_outputs > 1`` the last axis of ``raw_prediction`` and of the derivative has
    length K, and ``label`` and the value lack that axis.

    Attributes
    ----------
    name : str
        The name under which estimators know the loss.
    label_range : LabelRange
        The labels for which the loss is defined.
    curvature_bound : float or None
        An upper bound of the second derivative in the raw prediction over all labels and predictions; None where there
        is none.
    is_smooth : bool
        Whether the derivative is continuous. Gradient solvers need it.
    has_curvature : bool
        Whether `curvature` is available, as `newton` and `newton-cg` need.
    """

    name: ClassVar[str]
    label_range: ClassVar[LabelRange] = LabelRange()
    curvature_bound: float | None = None
    is_smooth: ClassVar[bool] = True
    has_curvature: ClassVar[bool] = True

    @property
    def num_outputs(self) -> int:
        """Raw predictions per row."""
        return 1

    @abstractmethod
    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        """``l(y, z)`` and ``dl/dz``, element by element."""

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        """``d2l/dz2``; with K outputs the matrix of shape ``(..., K, K)``."""
        raise NotImplementedError(f"the {self.name} loss has no curvature")

    def inverse_link(self, raw_prediction: Array) -> Array:
        """The prediction (a mean, a probability, a quantile) that a raw prediction stands for."""
        return raw_prediction

    @abstractmethod
    def null_intercept(self, label: LabelSummary) -> Array:
        """Raw prediction of shape ``(num_outputs,)`` of the best (or a good) model without features."""

    def typical_curvature(self, label: LabelSummary) -> float:
        """A positive scale of the curvature near the null model, for preconditioning."""
        if self.curvature_bound is not None:
            return self.curvature_bound
        curvature = self.curvature(np.array([label.mean]), self.null_intercept(label))
        return max(float(np.max(curvature)), 1e-12)
