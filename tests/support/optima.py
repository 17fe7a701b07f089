"""Reference problems as local fits, and their objective by plain NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkgd.losses import LogisticLoss, Loss, SquaredLoss
from tests.support.datasets import Problem, all_problems, load

Array = npt.NDArray[np.float64]

LOSSES: dict[str, Loss] = {"logistic": LogisticLoss(), "squared": SquaredLoss()}

DATASETS = ("a9a", "covtype20k", "higgs7k", "breast_cancer", "kdd99", "cadata", "abalone", "casp", "imdb")
"""The sets on which `auto` must reach every L2 optimum."""


def l2_problems(*datasets: str) -> list[Problem]:
    """The L2 problems of the given sets, in MLlib's ordinary form."""
    found = [p for p in all_problems() if p.dataset in datasets and p.loss in LOSSES and p.alpha == 0.0]
    return [problem for problem in found if "mllib" not in problem.id]


def label_of(problem: Problem) -> Array:
    """The set's label as the problem means it."""
    label = load(problem.dataset)[1]
    return (label == 1.0).astype(np.float64) if problem.dataset == "covtype20k" else label


def deviation(problem: Problem) -> Array:
    """Unbiased standard deviation of each column."""
    features = load(problem.dataset)[0]
    rows = features.shape[0]
    mean = features.sum(axis=0) / rows
    # About the mean, so that nothing cancels: stored values, then the zeros that are not stored.
    columns = features.indices
    stored = np.bincount(columns, weights=(features.data - mean[columns]) ** 2, minlength=features.shape[1])
    zeros = rows - np.bincount(columns, minlength=features.shape[1])
    return np.asarray(np.sqrt((stored + zeros * mean**2) / (rows - 1)))


def objective(problem: Problem, weights: Array, intercept: float) -> float:
    """The problem's objective, straight from its definition."""
    features, label = load(problem.dataset)[0], label_of(problem)
    raw = features @ weights + intercept
    logistic = problem.loss == "logistic"
    losses = np.logaddexp(0.0, raw) - label * raw if logistic else 0.5 * (label - raw) ** 2
    scale = deviation(problem) if problem.standardization else 1.0
    return float(losses.mean()) + 0.5 * problem.reg * float(np.sum((scale * weights) ** 2))
