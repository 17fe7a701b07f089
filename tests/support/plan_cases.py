"""Fits whose plans have every kind of stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.local_rows import Rows
from sparkgd.losses import HingeLoss, LogisticLoss, Loss
from sparkgd.penalties import ElasticNet
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.outline import TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.plans import sample_from, training_set


@dataclass(frozen=True)
class Case:
    """A fit whose plan has these stages, in this order."""

    loss: Loss
    rows: int
    columns: int
    stages: tuple[str, ...]
    solver: str = "auto"
    share: float | None = None
    strength: float = 1e-2
    held_out: int = -1
    seed: int = 1
    max_iterations: int = 100

    def blocks(self) -> list[Block]:
        random = np.random.default_rng(self.seed)
        features = random.standard_normal((self.rows, self.columns)) * np.geomspace(0.1, 10.0, self.columns)
        raw = features @ (random.standard_normal(self.columns) / np.geomspace(0.1, 10.0, self.columns))
        label = (raw / np.sqrt(self.columns) + 0.5 * random.logistic(size=self.rows) > 0.0).astype(float)
        weight, fold = random.choice([0.5, 1.0, 2.0], self.rows), (np.arange(self.rows) % 5 == 0).astype(np.uint8)
        parts = np.array_split(np.arange(self.rows), 3)
        return [Block(DenseFeatures(features[p]), label[p], weight[p], None, fold[p], int(p[0])) for p in parts]

    def settings(self) -> FitSettings:
        penalty = ElasticNet(np.zeros(self.columns), np.full(self.columns, self.strength))
        solver, stopping = SolverSettings(self.solver), Stopping(self.max_iterations, 1e-6)
        return FitSettings(self.loss, lambda *_: penalty, True, False, solver, stopping, held_out=self.held_out)

    def data(self, rows: Rows | None = None) -> TrainingSet:
        blocks = self.blocks()
        sample = None if self.share is None else sample_from(blocks, self.share)
        return training_set(blocks, self.held_out, sample, rows)


CASES = {
    "plain": Case(LogisticLoss(), 300, 4, ("all rows",)),
    "Gram matrix": Case(LogisticLoss(), 300, 4, ("Gram matrix", "all rows"), "l-bfgs"),
    "stochastic": Case(LogisticLoss(), 300, 4, ("all rows",), "localSGD"),
    "pilot": Case(LogisticLoss(), 2000, 4, ("pilot", "all rows"), share=0.2),
    "pilot with held-out rows": Case(LogisticLoss(), 2000, 4, ("pilot", "all rows"), share=0.2, held_out=1),
    "span start": Case(LogisticLoss(), 20, 1100, ("rows", "span of the rows", "all rows")),
    "cutting planes": Case(
        HingeLoss(), 600, 4,
        ("some rows of the sample", "condensed rows", "rows near kinks", "objective over few rows", "all rows"),
        share=0.2,
    ),
}  # fmt: skip
"""One for each way to prepare the stage over all rows; `KEPT_BYTES` of cutting planes is to be `FEW_BYTES` for them."""

FEW_BYTES = 8 * (4 + 3) * 60
"""So few that cutting planes take several rounds."""
