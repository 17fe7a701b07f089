"""What cases minimise, written out over arrays; both libraries' models are measured by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sparkgd.losses import HingeLoss, LogisticLoss, MultinomialLoss, SquaredLoss
from sparkgd.losses.generalized import GeneralizedLoss
from sparkgd.regression import GeneralizedLinearRegression
from sparkgd.regression.glm_family import family_and_link
from tests.parity.cases import Case, Columns
from tests.support.objectives import Array, PenalisedLoss, coefficients_of, deviation


def objective_of(case: Case, columns: Columns) -> Callable[[Any], float] | None:
    """The objective of a fitted model; None where a penalty makes MLlib solve an equation that minimises nothing."""
    features, label = columns[case.storage], columns[case.label]
    weight = columns[case.params["weightCol"]] if "weightCol" in case.params else np.ones(len(label))
    make = {
        "LogisticRegression": logistic, "LinearSVC": hinge, "LinearRegression": squares,
        "GeneralizedLinearRegression": half_deviance,
    }  # fmt: skip
    if case.params.get("loss") == "huber":
        return lambda model: huber(case, features, label, weight, model)
    found = make[case.estimator](case, features, label, weight)
    if found is None:
        return None
    if "offsetCol" in case.params:
        found = PenalisedLoss(**{**vars(found), "offset": columns[case.params["offsetCol"]]})
    return found.of


def penalty(case: Case) -> dict[str, Any]:
    """Of the params that estimators share."""
    names = {"regParam": "reg", "elasticNetParam": "mix", "standardization": "standardize"}
    return {names[name]: value for name, value in case.params.items() if name in names}


def logistic(case: Case, features: Array, label: Array, weight: Array) -> PenalisedLoss:
    """Binomial or multinomial."""
    classes = int(label.max()) + 1
    is_binomial = classes == 2 and case.params.get("family") != "multinomial"
    return PenalisedLoss(
        LogisticLoss() if is_binomial else MultinomialLoss(classes), features, label, weight, **penalty(case)
    )


def hinge(case: Case, features: Array, label: Array, weight: Array) -> PenalisedLoss:
    """Of a support vector machine."""
    return PenalisedLoss(HingeLoss(), features, label, weight, **penalty(case))


def squares(case: Case, features: Array, label: Array, weight: Array) -> PenalisedLoss:
    """Least squares, whose L2 is divided by the label's deviation; MLlib's solvers do not take the same one."""
    ddof = 1 if case.params.get("solver") == "l-bfgs" else 0
    unit = float(deviation(label, weight, ddof))
    return PenalisedLoss(SquaredLoss(), features, label, weight, **penalty(case), l2_factor=1 / unit, ddof=ddof)


def half_deviance(case: Case, features: Array, label: Array, weight: Array) -> PenalisedLoss | None:
    """Of a generalized linear model."""
    chosen = family_and_link(GeneralizedLinearRegression(**case.params))
    if case.params.get("regParam") and not chosen.is_least_squares:
        return None
    loss = GeneralizedLoss(chosen.family, chosen.link)
    unit = float(deviation(label - 0.0, weight, 0)) if "offsetCol" not in case.params else np.nan
    reg = case.params.get("regParam", 0.0)
    if reg and np.isnan(unit):
        return None
    return PenalisedLoss(loss, features, label, weight, reg, l2_factor=1 / unit if reg else 1.0, ddof=0)


def huber(case: Case, features: Array, label: Array, weight: Array, model: Any) -> float:
    """``(1/2W) sum_i w_i [sigma + H((m_i - y_i)/sigma) sigma] + reg/2 sum_j s_j^2 b_j^2`` with the scale sigma."""
    (weights,), (intercept,) = coefficients_of(model)
    scale, epsilon = model.scale, case.params.get("epsilon", 1.35)
    size = np.abs(features @ weights + intercept - label) / scale
    values = np.where(size <= epsilon, size**2, 2 * epsilon * size - epsilon**2)
    unit = deviation(features, weight) if case.params.get("standardization", True) else np.ones(len(weights))
    ridge = case.params["regParam"] / 2 * np.square(weights * unit).sum()
    return float(weight @ (scale + values * scale) / (2 * weight.sum()) + ridge)
