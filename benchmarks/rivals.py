"""Those who are timed: MLlib and sparkgd on the cached DataFrame, scikit-learn on the same rows as arrays."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pyspark.ml import classification as mllib_classification
from pyspark.ml import regression as mllib_regression
from pyspark.sql import DataFrame
from scipy.special import logsumexp

from benchmarks.cases import Case
from sparkgd import classification, regression


@dataclass(frozen=True)
class Run:
    """One timed fit.

    Attributes
    ----------
    seconds : float
    coef : ndarray (K, p)
    intercept : ndarray (K,)
    rounds : int or None
        Passes over the data that the fit reports, where it does.
    curve : list of (float, float)
        Seconds since the fit began and objective at that moment, where the fit reports progress.
    status : str
    """

    seconds: float
    coef: np.ndarray
    intercept: np.ndarray
    rounds: int | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    status: str = ""


Rival = Callable[[], Run]


def mllib(case: Case, frame: DataFrame) -> Rival:
    """MLlib's estimator for the case with its default settings."""
    common: dict[str, Any] = {"regParam": case.reg, "standardization": False}
    estimator: Any
    if case.loss == "hinge":
        estimator = mllib_classification.LinearSVC(**common)
    elif case.loss == "squared":
        estimator = mllib_regression.LinearRegression(**common, elasticNetParam=case.alpha)
    else:
        estimator = mllib_classification.LogisticRegression(**common, elasticNetParam=case.alpha)

    def run() -> Run:
        began = time.perf_counter()
        model = estimator.fit(frame)
        seconds = time.perf_counter() - began
        summary = model.summary() if callable(model.summary) else model.summary
        return Run(seconds, *_weights(model), rounds=len(summary.objectiveHistory))

    return run


def estimator_of(case: Case, **params: Any) -> Any:
    """Sparkgd's estimator for the case, with default settings but for ``params``."""
    common: dict[str, Any] = {"regParam": case.reg, "standardization": False, **params}
    if case.loss == "hinge":
        return classification.LinearSVC(**common)
    if case.loss == "squared":
        return regression.LinearRegression(**common, elasticNetParam=case.alpha)
    return classification.LogisticRegression(**common, elasticNetParam=case.alpha)


def sparkgd(case: Case, frame: DataFrame, **params: Any) -> Rival:
    """The same estimator of sparkgd, one import away."""
    estimator = estimator_of(case, **params)

    def run() -> Run:
        curve: list[tuple[float, float]] = []
        began = time.perf_counter()
        model = estimator.setCallbacks(
            [lambda record: curve.append((time.perf_counter() - began, record.objective))]
        ).fit(frame)
        seconds = time.perf_counter() - began
        summary = model.summary
        return Run(seconds, *_weights(model), summary.totalRounds, curve, summary.status)

    return run


def scikit_learn(case: Case, features: Any, label: np.ndarray) -> dict[str, Rival]:
    """scikit-learn's solvers that take the case."""
    from sklearn import linear_model

    strength = 1.0 / (case.reg * len(label))
    models: dict[str, Any] = {}
    if case.loss in ("logistic", "multinomial"):
        mix = {"l1_ratio": 1.0} if case.alpha == 1.0 else {}
        if not mix:
            models["lbfgs"] = linear_model.LogisticRegression(C=strength, max_iter=1000, tol=1e-6)
        models["saga"] = linear_model.LogisticRegression(C=strength, solver="saga", max_iter=100, tol=1e-4, **mix)
    losses = {"logistic": "log_loss", "hinge": "hinge", "squared": "squared_error"}
    if case.loss == "squared":
        models["ridge"] = linear_model.Ridge(alpha=case.reg * len(label))
        models["SGD"] = linear_model.SGDRegressor(alpha=case.reg, random_state=0)
    elif case.loss in losses:
        penalty = "l1" if case.alpha == 1.0 else "l2"
        models["SGD"] = linear_model.SGDClassifier(
            loss=losses[case.loss], alpha=case.reg, penalty=penalty, random_state=0
        )

    def rival(model: Any) -> Rival:
        def run() -> Run:
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(features, label)
            seconds = time.perf_counter() - began
            iterations = int(np.max(getattr(model, "n_iter_", None) or 0))
            return Run(seconds, np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_), iterations)

        return run

    return {f"scikit-learn {name}": rival(model) for name, model in models.items()}


def objective(case: Case, features: Any, label: np.ndarray, run: Run) -> float:
    """The case's objective at a run's result, computed from the arrays."""
    raw = features @ run.coef.T + run.intercept
    if case.loss == "multinomial":
        loss = logsumexp(raw, axis=1) - raw[np.arange(len(label)), label.astype(int)]
    elif case.loss == "logistic":
        loss = np.logaddexp(0.0, raw[:, 0]) - label * raw[:, 0]
    elif case.loss == "hinge":
        loss = np.maximum(0.0, 1.0 - (2.0 * label - 1.0) * raw[:, 0])
    else:
        loss = 0.5 * np.square(label - raw[:, 0])
    coef = run.coef
    # MLlib's LinearRegression divides the L2 part by the label's deviation.
    l2 = case.reg / (label.std() if case.loss == "squared" else 1.0)
    penalty = case.reg * case.alpha * np.abs(coef).sum() + 0.5 * l2 * (1.0 - case.alpha) * np.square(coef).sum()
    return float(loss.mean() + penalty)


def _weights(model: Any) -> tuple[np.ndarray, np.ndarray]:
    if hasattr(model, "coefficientMatrix"):
        return model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    return model.coefficients.toArray()[None, :], np.array([model.intercept])
