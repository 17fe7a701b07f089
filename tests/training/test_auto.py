"""The cost model of ``solver="auto"``."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss, MultinomialLoss
from sparkgd.penalties import Bounded, ElasticNet, NoPenalty, OnWeights, Penalty, group_lasso
from sparkgd.solvers.registry import SOLVERS
from sparkgd.training.auto import choose_solver


def penalty_of(name: str, columns: int) -> Penalty:
    ones = np.ones(columns)
    return {
        "none": NoPenalty(),
        "l1": ElasticNet(ones, 0.0 * ones),
        "elastic net": ElasticNet(ones, ones),
        "bounds": Bounded(-ones, ones),
        "groups": group_lasso(1.0, np.arange(columns) // 2, ones),
    }[name]


def on_weights(name: str, columns: int) -> Penalty:
    return OnWeights(penalty_of(name, columns), columns)


@pytest.mark.parametrize("penalty", ["none", "l1", "elastic net", "bounds", "groups"])
@pytest.mark.parametrize("columns", [3, 100_000])
def test_the_choice_is_never_refused_and_has_a_reason(penalty, columns):
    choice = choose_solver(LogisticLoss(), on_weights(penalty, columns), CoefLayout(columns), 1000)
    assert SOLVERS[choice.name].refusal(LogisticLoss(), on_weights(penalty, columns)) is None
    assert choice.reason


@pytest.mark.parametrize(
    ("penalty", "columns", "rows", "expected"),
    [
        ("none", 100, 10**6, "newton"),
        ("l1", 100, 10**6, "newton"),
        ("none", 50_000, 10**4, "l-bfgs"),
        ("l1", 50_000, 10**4, "owlqn"),
        ("l1", 50_000, 500, "newton"),
        ("elastic net", 50_000, 500, "owlqn"),
        ("bounds", 50_000, 500, "owlqn"),
        ("none", 50_000, 500, "l-bfgs"),
        ("none", 1000, 10**8, "l-bfgs"),
        ("groups", 3, 10**6, "nesterov"),
    ],
)
def test_newton_while_its_hessian_is_cheap(penalty, columns, rows, expected):
    assert choose_solver(LogisticLoss(), on_weights(penalty, columns), CoefLayout(columns), rows).name == expected


def test_outputs_count_for_the_hessian():
    assert choose_solver(MultinomialLoss(10), NoPenalty(), CoefLayout(64, 10), 2000).name == "newton"
    assert choose_solver(MultinomialLoss(10), NoPenalty(), CoefLayout(784, 10), 60_000).name == "l-bfgs"
