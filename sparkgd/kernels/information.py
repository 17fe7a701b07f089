"""What standard errors are made of: the information of the rows at a coef, and the spread of their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Sums
from sparkgd.kernels.groups import sums_by_group
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
class RowTerms:
    """Rows that have weight, at a coef.

    Attributes
    ----------
    rows : ndarray (n,) of int
        Their numbers in the block.
    design : ndarray (n, k)
        Centred and scaled features, and 1 for the intercept.
    weight, slope, variance, residual : ndarray (n,)
        Sample weight, derivative of the mean in the raw prediction, the family's variance, and label less mean.
    """

    rows: npt.NDArray[np.intp]
    design: Array
    weight: Array
    slope: Array
    variance: Array
    residual: Array

    @property
    def score(self) -> Array:
        """Derivative (n,) of the log-likelihood in the raw prediction, for a dispersion of 1."""
        return self.weight * self.residual * self.slope / self.variance


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
        for terms in self.terms(block):
            design = terms.design
            pearson += float(terms.weight @ (terms.residual**2 / terms.variance))
            amounts = terms.weight * terms.slope**2 / terms.variance
            if self.leverage is not None:
                share = amounts * np.einsum("ij,jk,ik->i", design, self.leverage.inverse, design, optimize=True)
                amounts = terms.score**2 / (1.0 - share) ** self.leverage.power
            gram += design.T @ (design * amounts[:, None])
        return Sums(hessian=gram, value=np.array([pearson]))

    def terms(self, block: Block) -> Iterator[RowTerms]:
        """What the sums are made of, chunk by chunk; rows without weight are left out."""
        start = 0
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
            rows = start + np.flatnonzero(used)
            yield RowTerms(rows, design[used], sample_weight[used], slope[used], variance[used], residual[used])
            start += chunk.rows

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=(len(self.weights) + self.fit_intercept) ** 2 + 1)


@dataclass(frozen=True)
class ScoresByGroup:
    """Sums of scores ``w_i (y_i - m) m'(z) / V(m) u_i`` by groups of rows, see `InformationKernel`.

    Parameters
    ----------
    kernel : InformationKernel
    class_factors : ndarray (K,) or None
        What the weight of a row is multiplied by, by its label.
    """

    kernel: InformationKernel
    class_factors: Array | None = None

    @property
    def size(self) -> int:
        """Length k of a score."""
        return len(self.kernel.weights) + self.kernel.fit_intercept

    def __call__(self, block: Block, groups: npt.NDArray[np.intp], count: int) -> tuple[Array, npt.NDArray[np.int64]]:
        """Sums (count, k) of the scores of each group, and how many of its rows have weight.

        Parameters
        ----------
        block : Block
        groups : ndarray (n,) of int
            Number of each row's group.
        count : int
            Number of groups.
        """
        if self.class_factors is not None:
            block = block.reweighted(self.class_factors)
        sums, rows = np.zeros((count, self.size)), np.zeros(count, dtype=np.int64)
        for terms in self.kernel.terms(block):
            chosen = groups[terms.rows]
            sums += sums_by_group(terms.design, chosen, count, terms.score)
            rows += np.bincount(chosen, minlength=count)
        return sums, rows
