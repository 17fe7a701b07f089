"""Weights of classes, as the param ``classWeight`` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import Params

from sparkgd.data.statistics import Group, Statistics
from sparkgd.ml.errors import InvalidDataError, InvalidParamError
from sparkgd.ml.params.shared import param

Array = npt.NDArray[np.float64]

BALANCED = "balanced"


@dataclass(frozen=True)
class ClassWeights:
    """Factors of the sample weights by label; the effect is exactly that of a ``weightCol`` with the products.

    Parameters
    ----------
    given : dict of int to float, or None
        Factor of each label; labels that are not named have 1. None: ``W / (K * W_k)`` for the weight sum W_k of each
        of K labels, so that every class weighs the same in total.
    """

    given: Mapping[int, float] | None

    def of(self, groups: Mapping[Group, Statistics], highest: int) -> Array:
        """The factors as an array indexed by label, up to the ``highest`` (validation rows may have more labels).

        Raises
        ------
        InvalidDataError
            If a factor is given for a label that the data do not have.
        """
        sums: dict[int, float] = {}
        for group, part in groups.items():
            sums[group.label] = sums.get(group.label, 0.0) + part.weight
        factors = np.ones(highest + 1)
        if self.given is None:
            total = sum(sums.values())
            for label, weight in sums.items():
                factors[label] = total / (len(sums) * weight) if weight > 0.0 else 0.0
            return factors
        unknown = sorted(set(self.given) - set(sums))
        if unknown:
            raise InvalidDataError(
                f"classWeight names the label {unknown[0]}, which the data do not have: {sorted(sums)}"
            )
        for label, factor in self.given.items():
            factors[label] = factor
        return factors


def to_class_weight(value: Any) -> str | dict[str, float]:
    """Type converter of the param: ``balanced``, or a map from label to a non-negative weight (string keys, for JSON).

    Raises
    ------
    TypeError
        If the value is neither.
    InvalidParamError
        If a weight is negative or not finite, or a label is not an integer.
    """
    if isinstance(value, str) and value == BALANCED:
        return BALANCED
    if not isinstance(value, Mapping):
        raise TypeError(f"classWeight must be {BALANCED!r} or a map from label to weight, not {value!r}")
    try:
        numbers = {label: (float(label), float(weight)) for label, weight in value.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"classWeight must be a map from label to weight, both numbers: {error}") from error
    weights = {}
    for label, (number, weight) in numbers.items():
        if not (number.is_integer() and number >= 0.0):
            raise InvalidParamError(f"classWeight: the label {label!r} is not a class; classes are integers from 0")
        if not (np.isfinite(weight) and weight >= 0.0):
            raise InvalidParamError(f"classWeight: the weight {weight!r} of label {label} must be finite and >= 0")
        weights[str(int(number))] = weight
    return weights


class HasClassWeight(Params):
    """Weights of classes."""

    classWeight = param(
        "classWeight",
        "factor of the weights of each class's rows: 'balanced', or a map from label to factor; default: 1 for all",
        to_class_weight,
    )


def class_weights_of(value: str | dict[str, float] | None) -> ClassWeights | None:
    """The weights that the param's value stands for."""
    if value is None:
        return None
    return ClassWeights(None if isinstance(value, str) else {int(label): weight for label, weight in value.items()})
