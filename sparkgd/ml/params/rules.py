"""What each param allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyspark.ml.param import Params

from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.params.shared import value_or_none
from sparkgd.solvers.schedules import SCHEDULES
from sparkgd.solvers.updates import UPDATES

Rule = tuple[Callable[[Any], bool], str]


def between(low: float, high: float, open_low: bool = False, open_high: bool = False) -> Rule:
    """Rule that a number is in an interval and finite."""
    text = f"{'>' if open_low else '>='} {low:g}"
    if np.isfinite(high):
        text = f"in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"

    def holds(value: float) -> bool:
        above = value > low if open_low else value >= low
        return bool(above and (value < high if open_high else value <= high) and abs(value) < np.inf)

    return holds, text


def one_of(*names: str) -> Rule:
    """Rule that a string is one of several."""
    return (lambda value: value in names), "one of " + ", ".join(repr(name) for name in names)


def one_of_in_any_case(*names: str) -> Rule:
    """Rule that a string is one of several in lower case, or in any case, as MLlib has it for some params."""
    return (lambda value: value.lower() in names), one_of(*names)[1]


RULES: dict[str, Rule] = {
    "maxIter": between(0, np.inf),
    "tol": between(0, np.inf),
    "regParam": between(0, np.inf),
    "elasticNetParam": between(0, 1),
    "aggregationDepth": between(1, np.inf),
    "maxBlockSizeInMB": between(0, np.inf),
    "stepSize": between(0, np.inf, open_low=True),
    "schedule": one_of("auto", "lineSearch", *SCHEDULES),
    "updater": one_of(*UPDATES),
    "momentum": between(0, 1, open_high=True),
    "batchSize": between(1, np.inf),
    "localEpochs": between(1, np.inf),
    "miniBatchFraction": between(0, 1, open_low=True),
    "execution": one_of("auto", "cluster", "driver"),
    "balance": one_of("auto", "always", "never"),
    "blockAccess": one_of("map", "read"),
    "dtype": one_of("float64", "float32"),
    "maxSeconds": between(0, np.inf, open_low=True),
    "earlyStoppingRounds": between(1, np.inf),
    "checkpointDir": (lambda value: bool(value.strip()), "a path"),
    "checkpointInterval": (lambda value: value >= 1 or value == -1, ">= 1, or -1 for none"),
    "resume": one_of("auto", "never", "force"),
    "threshold": between(0, 1),
    "handleInvalid": one_of("error", "skip", "keep"),
}
"""What each param allows, checked before anything else when a fit begins."""


NEEDS = {
    "earlyStoppingRounds": ("validationIndicatorCol", "it watches the loss on the rows that this column marks"),
}
"""Params that do nothing without another one, which, and why."""


def check_params(instance: Params, rules: dict[str, Rule] | None = None) -> None:
    """Check every param that has a value against its rule, and that those it needs have one too.

    Raises
    ------
    InvalidParamError
        Naming the param, its value and what is allowed or missing.
    """
    for name, (holds, allowed) in {**RULES, **(rules or {})}.items():
        if instance.hasParam(name) and instance.isDefined(name):
            value = instance.getOrDefault(name)
            if not holds(value):
                raise InvalidParamError(f"{type(instance).__name__}: {name}={value!r} is not allowed; give {allowed}")
    for name, (needed, reason) in NEEDS.items():
        value = value_or_none(instance, name)
        if value is not None and not value_or_none(instance, needed):
            raise InvalidParamError(f"{type(instance).__name__}: {name}={value!r} needs {needed}: {reason}")
