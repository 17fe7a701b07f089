"""What a fit says, and returns, where every training row has the same label."""

from __future__ import annotations

import numpy as np

from sparkgd.data.statistics import Statistics
from sparkgd.exceptions import ConstantLabelWarning
from sparkgd.ml.summary import TrainingSummary
from sparkgd.ml.training_data import TrainingData
from sparkgd.ml.warn import warn
from sparkgd.solvers.base import Status
from sparkgd.training.constant_label import DecidedModel

REASON = "the label is constant and decides the model; no training was needed"


class ConstantLabelSummary(TrainingSummary):
    """Summary of a fit without a round: its history is the objective of the model, as in MLlib."""

    def __init__(self, model: DecidedModel, data: TrainingData) -> None:
        self.status = Status.CONVERGED.value
        self.statusReason = REASON
        self.solver = "none"
        self.solverReason = "the label is constant"
        self.execution = data.engine.execution
        self.storage = data.engine.storage
        self.totalIterations = 0
        self.objective = model.objective
        self.objectiveHistory = [model.objective]
        self.gradientNormHistory = [0.0]
        self.validationHistory = [np.nan] if data.held_out >= 0 else []
        self.dualityGap = 0.0
        self.secondsPerRound = []
        self.totalRounds = 0
        self.ingestSeconds = data.seconds
        self.pilotSeconds = 0.0
        self.stages = []
        self.partitionStats = data.partitions


def warn_of_constant_label(name: str, column: str, statistics: Statistics, decided: DecidedModel | None) -> None:
    """Warn if all training rows have the same label: most often it is a filter or a split."""
    if statistics.label_low != statistics.label_high:
        return
    model = "the model is fitted as usual, but learns from one label only"
    if decided is not None:
        intercepts = ", ".join(f"{value:g}" for value in decided.intercepts)
        weights = "not 0 where bounds forbid it" if decided.weights.any() else "0"
        model = f"the model says so whatever the features are: coefficients {weights}, intercept {intercepts}"
    warn(
        f"{name}: column {column!r} holds only the label {statistics.label_low:g} in the training rows; {model}. Check "
        "the filter or split that the DataFrame comes from",
        ConstantLabelWarning,
    )
