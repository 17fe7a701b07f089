"""What standard errors are made of: the information of the rows at a coef, and the spread of their scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Sums
from sparkgd.kernels.features import dense_chunk_rows
from sparkgd.kernels.gram import add_kronecker_products
from sparkgd.kernels.groups import sums_by_group
from sparkgd.kernels.likelihood import Likelihood, RowLikelihood

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Leverage:
    """How scores are enlarged by the leverage h of their rows: squared scores are divided by ``(1 - h)^power``.

    Attributes
    ----------
    inverse : ndarray (k, k)
        Inverse of the information; needed where ``power`` is not 0, for models of one raw prediction.
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
    design : ndarray (n, q)
        Centred and scaled features, and 1 for the intercept.
    likelihood : RowLikelihood
    """

    rows: npt.NDArray[np.intp]
    design: Array
    likelihood: RowLikelihood


@dataclass(frozen=True)
class InformationKernel:
    """``sum_i A_i x u_i u_i^T`` (Kronecker's product) over rows, with ``u = [(x - center) * scale, 1]``.

    A is the row's information, or with ``leverage`` the square ``s s^T`` of its score; both are about m identified raw
    predictions, see `sparkgd.kernels.likelihood`. ``value`` is Pearson's statistic.

    Parameters
    ----------
    likelihood : Likelihood
    weights : ndarray (K, p)
    intercepts : ndarray (K,)
    center, scale : ndarray (p,)
        A scale of 0 takes a column out.
    fit_intercept : bool
        Whether u has the last entry.
    leverage : Leverage or None
    held_out : int
        Fold to leave out, -1 for none.
    """

    likelihood: Likelihood
    weights: Array
    intercepts: Array
    center: Array
    scale: Array
    fit_intercept: bool
    leverage: Leverage | None = None
    held_out: int = -1

    @property
    def width(self) -> int:
        """Length q of u."""
        return len(self.center) + self.fit_intercept

    @property
    def outputs(self) -> int:
        """Number m of raw predictions that are identified."""
        return int(self.likelihood.contrast.shape[1])

    @property
    def size(self) -> int:
        """Length m * q of a score, output by output."""
        return self.outputs * self.width

    def __call__(self, block: Block) -> Sums:
        m, q, pearson = self.outputs, self.width, 0.0
        gram = np.zeros((m, q, m, q))
        for terms in self.terms(block):
            pearson += terms.likelihood.pearson
            add_kronecker_products(gram, terms.design, self._amounts(terms))
        return Sums(hessian=gram.reshape(self.size, self.size), value=np.array([pearson]))

    def _amounts(self, terms: RowTerms) -> Array:
        """The matrices (n, m, m)."""
        score, information = terms.likelihood.score, terms.likelihood.information
        if self.leverage is None:
            return information
        squares = score[:, :, None] * score[:, None, :]
        if self.leverage.power:
            assert self.outputs == 1
            design, inverse = terms.design, self.leverage.inverse
            share = information[:, 0, 0] * np.einsum("ij,jk,ik->i", design, inverse, design, optimize=True)
            squares /= (1.0 - share[:, None, None]) ** self.leverage.power
        return squares

    def terms(self, block: Block) -> Iterator[RowTerms]:
        """What the sums are made of, chunk by chunk; rows without weight are left out."""
        start = 0
        for chunk in block.pieces(dense_chunk_rows(max(len(self.center), self.outputs**2))):
            weight = chunk.training_weight(self.held_out)
            used = np.flatnonzero(weight > 0.0)
            features = chunk.features.dense()[used]
            raw = features @ self.weights.T + self.intercepts
            if chunk.offset is not None:
                raw = raw + chunk.offset[used, None]
            design = (features - self.center) * self.scale
            if self.fit_intercept:
                design = np.column_stack([design, np.ones(len(design))])
            yield RowTerms(start + used, design, self.likelihood(chunk.label[used], raw, weight[used]))
            start += chunk.rows

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=self.size**2 + 1)


@dataclass(frozen=True)
class ScoresByGroup:
    """Sums of scores by groups of rows, see `InformationKernel`.

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
        """Length of a score."""
        return self.kernel.size

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
            parts = [sums_by_group(terms.design, chosen, count, score) for score in terms.likelihood.score.T]
            sums += np.hstack(parts)
            rows += np.bincount(chosen, minlength=count)
        return sums, rows
