"""What standard errors are made of: the information of the rows at a coef, and the spread of their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Sums
from sparkgd.losses.families import Family
from sparkgd.losses.links import Link

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Leverage:
    """How scores are enlarged by the leverage h of their rows: squared scores are divided by ``(1 - h)^power``.

    Attributes
    ----------
    inverse : ndarray (k, k)
        Inverse of the information.
    power : int
        0 leaves scores as they are.
    """

    inverse: Array
    power: int


@dataclass(frozen=True)
class InformationKernel:
    """``sum_i a_i u_i u_i^T`` over the rows of a generalized linear model, with ``u = [(x - center) * scale, 1]``.

    ``a_i`` is the row's expected information ``w_i m'(z)^2 / V(m)``, or with ``leverage`` the square of its score
    ``w_i (y_i - m) m'(z) / V(m)``; m is the mean at the raw prediction z, V the family's variance. ``value`` is
    Pearson's statistic ``sum_i w_i (y_i - m)^2 / V(m)``.

    Parameters
    ----------
    family : Family
    link : Link
    weights : ndarray (p,)
    intercept : float
    center, scale : ndarray (p,)
        A scale of 0 takes a column out.
    fit_intercept : bool
        Whether u has the last entry.
    leverage : Leverage or None
    held_out : int
        Fold to leave out, -1 for none.
    """

    family: Family
    link: Link
    weights: Array
    intercept: float
    center: Array
    scale: Array
    fit_intercept: bool
    leverage: Leverage | None = None
    held_out: int = -1

    def __call__(self, block: Block) -> Sums:
        size = len(self.weights) + self.fit_intercept
        gram, pearson = np.zeros((size, size)), 0.0
        for chunk in block.dense_chunks():
            features = chunk.features.dense()
            raw = features @ self.weights + self.intercept
            if chunk.offset is not None:
                raw = raw + chunk.offset
            sample_weight = chunk.training_weight(self.held_out)
            mean, slope = self.link.inverse(raw), self.link.inverse_derivatives(raw)[0]
            variance, residual = self.family.variance(mean), chunk.label - mean
            # A row of weight 0 may have a mean at the edge of the family, where 0 * inf would be nan.
            used = sample_weight > 0.0
            design = (features - self.center) * self.scale
            if self.fit_intercept:
                design = np.column_stack([design, np.ones(len(design))])
            design, slope, variance = design[used], slope[used], variance[used]
            residual, sample_weight = residual[used], sample_weight[used]
            pearson += float(sample_weight @ (residual**2 / variance))
            amounts = sample_weight * slope**2 / variance
            if self.leverage is not None:
                share = amounts * np.einsum("ij,jk,ik->i", design, self.leverage.inverse, design, optimize=True)
                amounts = (sample_weight * residual * slope / variance) ** 2 / (1.0 - share) ** self.leverage.power
            gram += design.T @ (design * amounts[:, None])
        return Sums(hessian=gram, value=np.array([pearson]))

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=(len(self.weights) + self.fit_intercept) ** 2 + 1)
