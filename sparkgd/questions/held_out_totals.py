"""Totals of how models predict the rows that they hold out, such as confusion matrices."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sparkgd.kernels import AnswerSize, Block, Kernel, Sums
from sparkgd.kernels.held_out import HeldOutModels
from sparkgd.kernels.measures import Measure
from sparkgd.questions.base import Part
from sparkgd.questions.held_out import HeldOutQuestion

if TYPE_CHECKING:
    from sparkgd.problems.problem import Problem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """What a measure summed.

    Attributes
    ----------
    measure : Measure
    values : ndarray (t,)
    """

    measure: Measure
    values: Array


@dataclass(frozen=True)
class HeldOutTotalsQuestion(HeldOutQuestion):
    """The `Totals` of a measure over the held-out rows."""

    measure: Measure

    def shared_key(self, problem: Problem) -> Hashable:
        return type(self), problem.layout, self.is_weighted, self.measure.size

    def kernel_of(self, group: Sequence[Part]) -> Kernel:
        return HeldOutTotalsKernel(self.models(group), tuple(_measures(group)))

    def replies(self, group: Sequence[Part], sums: Sums) -> list[Totals]:
        measures = _measures(group)
        found = np.zeros((len(group), self.measure.size)) if sums.totals is None else sums.totals
        return [Totals(measure, values) for measure, values in zip(measures, found, strict=True)]


def _measures(group: Sequence[Part]) -> list[Measure]:
    """Each question's measure."""
    return [part.question.measure for part in group if isinstance(part.question, HeldOutTotalsQuestion)]


@dataclass(frozen=True)
class HeldOutTotalsKernel:
    """The totals (m, t) of m models, each over the rows that it holds out.

    Parameters
    ----------
    models : HeldOutModels
    measures : tuple of Measure
        One for each model, of the same size.
    """

    models: HeldOutModels
    measures: tuple[Measure, ...]

    def __call__(self, block: Block) -> Sums:
        totals = np.zeros((len(self.measures), self.measures[0].size))
        for fold, rows, raw in self.models.raw_predictions(block):
            weight = self.models.weight(rows)
            for place, model in enumerate(self.models.by_fold[fold]):
                totals[model] += self.measures[model].totals(rows.label, weight, raw[:, place])
        return Sums(totals=totals)

    @property
    def answer_size(self) -> AnswerSize:
        return AnswerSize(whole=len(self.measures) * self.measures[0].size)
