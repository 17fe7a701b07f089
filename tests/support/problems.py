"""Small synthetic problems with a minimum from an independent solver."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss, Loss, SquaredLoss
from sparkgd.penalties import Bounded, ElasticNet, NoPenalty, Penalty, group_lasso
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.history import Outcome
from sparkgd.training.settings import FitSettings
from sparkgd.training.solving import Solving
from sparkgd.training.stopping import Stopping
from tests.support import plans

Array = npt.NDArray[np.float64]

COLUMNS = 5
DEVIATIONS = np.array([1.0, 3.0, 0.2, 10.0, 1.0])


def rows(loss: Loss, count: int = 90) -> tuple[Array, Array]:
    """Correlated columns of unequal scale, and labels that the loss accepts."""
    random = np.random.default_rng(11)
    mixing = np.eye(COLUMNS) + 0.4 * random.standard_normal((COLUMNS, COLUMNS))
    features = (random.standard_normal((count, COLUMNS)) @ mixing + 0.5) * DEVIATIONS
    raw = features @ (np.array([1.0, -0.5, 2.0, 0.0, 0.0]) / DEVIATIONS) + 0.3 + 2.0 * random.standard_normal(count)
    return features, (raw > 0.0).astype(np.float64) if loss.label_range.integer else raw


LOSSES: dict[str, Loss] = {"squared": SquaredLoss(), "logistic": LogisticLoss()}

L1 = 0.08 * DEVIATIONS * np.array([1.0, 1.0, 1.0, 1.0, 0.0])
L2 = 0.02 * DEVIATIONS**2 * np.array([1.0, 1.0, 1.0, 1.0, 0.0])
LOW, HIGH = np.array([-np.inf, 0.0, 0.0, -np.inf, -0.05]), np.array([0.3, np.inf, 1.0, np.inf, 0.05])

PENALTIES: dict[str, Penalty] = {
    "none": NoPenalty(),
    "l2": ElasticNet(np.zeros(COLUMNS), L2),
    "l1": ElasticNet(L1, np.zeros(COLUMNS)),
    "elastic net": ElasticNet(L1, L2),
    "bounds": Bounded(LOW, HIGH),
    "bounds and elastic net": Bounded(LOW, HIGH, ElasticNet(L1, L2)),
    "groups": group_lasso(0.06, np.array([0, 0, 1, 1, -1]), DEVIATIONS),
}


@dataclass(frozen=True)
class SmallProblem:
    """Mean loss of `rows` plus a penalty, with free or bounded intercept."""

    loss: Loss
    penalty: Penalty
    intercept_penalty: Penalty = NoPenalty()

    def blocks(self) -> list[Block]:
        """Three blocks of unequal size."""
        features, label = rows(self.loss)
        parts = np.split(np.arange(len(label)), [20, 31])
        return [Block(DenseFeatures(features[p]), label[p], np.ones(len(p)), first_row=int(p[0])) for p in parts]

    def settings(self, solver: SolverSettings, stopping: Stopping) -> FitSettings:
        """The same for a plan."""
        return FitSettings(
            self.loss, lambda statistics, outputs: self.penalty, True, False, solver, stopping,
            intercept_penalty=self.intercept_penalty,
        )  # fmt: skip

    def final(self, solver: SolverSettings, stopping: Stopping) -> Solving:
        """The stage over all rows."""
        return plans.final_stage(self.settings(solver, stopping), plans.training_set(self.blocks()))

    def fit(self, solver: SolverSettings, stopping: Stopping | None = None) -> Outcome:
        """Train, if nothing else is said to high accuracy."""
        stopping = stopping or Stopping(max_iterations=5000, tol=1e-9)
        return plans.fit(self.settings(solver, stopping), plans.training_set(self.blocks()))

    def objective(self, coef: Array) -> float:
        """By a plain loop-free formula."""
        features, label = rows(self.loss)
        value, _ = self.loss.value_and_derivative(label, features @ coef[:-1] + coef[-1])
        return float(value.mean()) + self.penalty.value(coef[:-1]) + self.intercept_penalty.value(coef[-1:])

    def minimum(self) -> float:
        """From SciPy, with each weight split in a positive and a negative part so that |w| is linear."""
        features, label = rows(self.loss)

        def smooth(split: Array) -> float:
            weights = (split[:COLUMNS] - split[COLUMNS : 2 * COLUMNS]) / DEVIATIONS
            value, _ = self.loss.value_and_derivative(label, features @ weights + split[-1])
            # One of the two parts is zero at a solution, so their sum is the modulus.
            modulus = (split[:COLUMNS] + split[COLUMNS : 2 * COLUMNS]) / DEVIATIONS
            l1 = _l1(self.penalty)
            rough = float(l1 @ modulus) if l1 is not None else self.penalty.rough_value(weights)
            return float(value.mean()) + rough + self.penalty.smooth_value(weights)

        far = np.full(COLUMNS, 1e3)
        low, high = self.penalty.project(-far) * DEVIATIONS, self.penalty.project(far) * DEVIATIONS
        intercept = tuple(float(self.intercept_penalty.project(np.array([end]))[0]) for end in (-1e3, 1e3))
        positive = [(max(a, 0.0), max(b, 0.0)) for a, b in zip(low, high, strict=True)]
        negative = [(max(-b, 0.0), max(-a, 0.0)) for a, b in zip(low, high, strict=True)]
        start = np.full(2 * COLUMNS + 1, 0.1)
        best: Any = optimize.minimize(
            smooth, start, method="SLSQP", bounds=[*positive, *negative, intercept],
            options={"maxiter": 2000, "ftol": 1e-15},
        )  # fmt: skip
        return float(best.fun)


def _l1(penalty: Penalty) -> Array | None:
    """Slopes to the right of zero, where the penalty is one of single weights."""
    inner = penalty.penalty if isinstance(penalty, Bounded) else penalty
    return inner.slopes(np.zeros(COLUMNS))[1] if inner.is_piecewise else None


def small_problems() -> dict[str, SmallProblem]:
    """Every loss with every penalty, and one with a bounded intercept."""
    found = {
        f"{loss}, {penalty}": SmallProblem(LOSSES[loss], PENALTIES[penalty]) for loss in LOSSES for penalty in PENALTIES
    }
    wall = Bounded(np.array([-np.inf]), np.array([0.1]))
    found["logistic, l1, bounded intercept"] = replace(found["logistic, l1"], intercept_penalty=wall)
    return found
