"""Pointwise losses: value, derivative, curvature, link and label range. No features, no weights, no Spark."""

from __future__ import annotations

from sparkgd.losses.base import LabelRange, LabelSummary, Loss
from sparkgd.losses.logistic import LogisticLoss
from sparkgd.losses.squared import SquaredLoss

__all__ = ["LabelRange", "LabelSummary", "LogisticLoss", "Loss", "SquaredLoss"]
