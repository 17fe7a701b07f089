"""Scores of the rows that models hold out, for curves over all thresholds: of every row, or of some that stand for all.

Where there are more rows than the driver should receive, each part of the data draws from the scores of each class a
sample of its share: one score from each of many consecutive parts (stratified sampling). So it resolves the scores
wherever they lie and however they spread, and rare classes as well as frequent ones.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Sums
from sparkgd.kernels.held_out import HeldOutModels
from sparkgd.kernels.predictions import class_probabilities
from sparkgd.kernels.sums import Entries
from sparkgd.questions.base import Part
from sparkgd.questions.held_out import HeldOutQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]

MOST_NUMBERS = 1 << 22
"""Numbers that the driver receives for all models of a scan: 32 MB."""

LEAST_ROWS = 1 << 15
"""Rows whose scores it receives in any case: a sample of so many has an area under its curve with three good digits."""

PIECE_NUMBERS = 1 << 22
"""Scores that a task holds at a time."""

GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
"""The fractions of its multiples spread evenly, however many there are (Weyl, 1916)."""


@dataclass(frozen=True)
class Scores:
    """Scores with the weight of the rows of either class that have it.

    Attributes
    ----------
    score : ndarray (n,)
        In no order; equal ones may come apart.
    positive, negative : ndarray (n,)
        Weight of rows of class 1, and of class 0.
    is_whole : bool
        Whether these are all rows, and no sample.
    """

    score: Array
    positive: Array
    negative: Array
    is_whole: bool = True


@dataclass(frozen=True)
class HeldOutScoresQuestion(HeldOutQuestion):
    """The `Scores` of the held-out rows.

    Attributes
    ----------
    count : int
        Rows of the whole dataset.
    by_probability : bool
        Whether a score is the probability of class 1; else its raw prediction.
    """

    count: int
    by_probability: bool

    def shared_key(self, problem: Problem) -> Hashable:
        return type(self), problem.layout, self.count, self.by_probability, self.is_weighted

    def kernel_of(self, group: Sequence[Part]) -> HeldOutScoresKernel:
        models = self.models(group)
        most = max(MOST_NUMBERS // _numbers(models), LEAST_ROWS)
        return HeldOutScoresKernel(models, self.count, min(self.count, most), self.by_probability)

    def replies(self, group: Sequence[Part], sums: Sums) -> list[Scores]:
        return self.kernel_of(group).scores_of(sums)


@dataclass(frozen=True)
class HeldOutScoresKernel:
    """Scores and weights of rows, in a column each, of the models that hold the row out.

    A column has, for each of these models, score and weight, negative in class 0; last comes the fold's number plus
    one, 0 where the column is empty. Every part of a block has its share of the columns by the numbers of its rows,
    so that memory and messages are bounded; where this is one for each row, nothing is sampled.

    Parameters
    ----------
    models : HeldOutModels
    count, kept : int
        Rows of the whole dataset, and columns for them.
    by_probability : bool
    """

    models: HeldOutModels
    count: int
    kept: int
    by_probability: bool = False

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(dealt=self.kept * _numbers(self.models))

    def __call__(self, block: Block) -> Sums:
        most = max(PIECE_NUMBERS // self.models.most_of_a_fold, 1)
        columns = [self._columns(piece) for piece in block.pieces(most)]
        first, stop = self._share(block)
        found = np.concatenate([np.empty((_numbers(self.models), 0)), *columns], axis=1)
        filled = np.flatnonzero(found[-1])  # most are not where few folds are asked about
        return Sums(rows=found[:, filled], entries=Entries(np.arange(first, stop)[filled], self.kept))

    def _share(self, block: Block) -> tuple[int, int]:
        """First and stop of a block's columns."""
        first, stop = (row * self.kept // self.count for row in (block.first_row, block.first_row + block.rows))
        return first, stop

    def _columns(self, piece: Block) -> Array:
        """The columns of a part of a block; each fold has its share of them."""
        first, stop = self._share(piece)
        columns, rows = np.zeros((_numbers(self.models), stop - first)), 0
        for fold, (score, signed) in self._scored(piece).items():
            start, rows = rows * (stop - first) // piece.rows, rows + len(score)
            share = columns[:, start : rows * (stop - first) // piece.rows]
            share[-1] = fold + 1
            for model in range(score.shape[1]):
                few = _stratified(score[:, model], signed, share.shape[1], first + start)
                share[2 * model : 2 * model + 2, : few.shape[1]] = few
        return columns

    def _scored(self, piece: Block) -> dict[int, tuple[Array, Array]]:
        """Scores (n, models) and signed weights (n,) of each fold's rows."""
        scores: dict[int, list[Array]] = {}
        signed: dict[int, list[Array]] = {}
        for fold, rows, raw in self.models.raw_predictions(piece):
            weight = self.models.weight(rows)
            scores.setdefault(fold, []).append(self._score(raw))
            signed.setdefault(fold, []).append(np.where(rows.label > 0.5, weight, -weight))
        return {fold: (np.concatenate(scores[fold]), np.concatenate(signed[fold])) for fold in scores}

    def _score(self, raw: Array) -> Array:
        """Those of class 1 (n, models), which has the last of one or two outputs."""
        if not self.by_probability:
            return raw[:, :, -1]
        rows, models, outputs = raw.shape
        return class_probabilities(raw.reshape(-1, outputs))[:, 1].reshape(rows, models)

    def scores_of(self, sums: Sums) -> list[Scores]:
        """The scores of each model, from the sums over all blocks."""
        columns = np.empty((_numbers(self.models), 0)) if sums.rows is None else sums.rows
        found: dict[int, Scores] = {}
        for fold, members in self.models.by_fold.items():
            of_fold = np.flatnonzero(columns[-1] == fold + 1)
            for place, model in enumerate(members):
                filled = of_fold[columns[2 * place + 1, of_fold] != 0.0]
                score, signed = columns[2 * place, filled], columns[2 * place + 1, filled]
                positive, negative = np.maximum(signed, 0.0), np.maximum(-signed, 0.0)
                found[int(model)] = Scores(score, positive, negative, self.kept == self.count)
        return [found[model] for model in range(len(found))]


def _numbers(models: HeldOutModels) -> int:
    """Numbers in a column."""
    return 2 * models.most_of_a_fold + 1


def _stratified(score: Array, signed: Array, most: int, seed: int) -> Array:
    """Scores and signed weights (2, at most ``most``) that stand for all; both classes have half of them if need be."""
    if len(score) <= most:
        return np.stack([score, signed])
    classes = [np.flatnonzero(signed < 0.0), np.flatnonzero(signed > 0.0)]
    first = min(len(classes[0]), max(most // 2, most - len(classes[1])))
    counts = first, min(len(classes[1]), most - first)
    parts = [
        _strata(score[rows], signed[rows], count, seed + side * first)
        for side, (rows, count) in enumerate(zip(classes, counts, strict=True))
    ]
    return np.concatenate(parts, axis=1)


def _strata(score: Array, weight: Array, count: int, seed: int) -> Array:
    """One score from each of ``count`` consecutive parts, with the weight of its part.

    Where in its part it lies differs from part to part and from block to block: so errors even out. The parts are the
    lighter the nearer to either end (as in Dunning and Ertl, 2019: Computing extremely accurate quantiles using
    t-digests): there a precision is one of few rows.
    """
    distinct, place = np.unique(score, return_inverse=True)
    of_score = np.bincount(place, np.abs(weight), len(distinct))
    if len(distinct) <= count or count == 0:
        return np.stack([distinct[:count], np.copysign(of_score[:count], weight[:1].sum())])
    heights = np.cumsum(of_score)
    edges = heights[-1] * 0.5 * (1.0 - np.cos(np.pi * np.arange(count + 1) / count))
    parts = np.diff(edges)
    within = (np.arange(seed, seed + count) * GOLDEN) % 1.0
    chosen = np.searchsorted(heights, edges[:-1] + within * parts, side="right")
    return np.stack([distinct[np.minimum(chosen, len(distinct) - 1)], np.copysign(parts, weight[0])])
