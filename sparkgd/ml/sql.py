"""Scoring expressions in SQL, for whoever has the columns and no Spark session of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sparkgd.ml.errors import InvalidParamError

Array: TypeAlias = npt.NDArray[np.float64]


def number(value: float) -> str:
    """A literal that every dialect reads as a double of exactly this value; infinities as Spark spells them."""
    if not np.isfinite(value):
        return f"double('{float(value)}')"
    text = repr(float(value))
    return text.upper() if "e" in text else f"{text}E0"


def identifier(name: str) -> str:
    """A quoted name; the dots of a nested field stay dots."""
    return ".".join(f"`{part.replace('`', '``')}`" for part in name.split("."))


def margin(weights: Array, intercept: float, columns: Sequence[str], offset: str | None) -> str:
    """``sum_j weights[j] * columns[j] + intercept + offset``, the columns that do not matter left out."""
    terms = [f"{number(w)} * {column}" for w, column in zip(weights, columns, strict=True) if w != 0.0]
    if offset:
        terms.append(identifier(offset))
    return "(" + " + ".join([*terms, number(intercept)]) + ")"


def logistic(raw: str) -> str:
    """Inverse of the logit link."""
    return f"(1E0 / (1E0 + exp(-{raw})))"


def above(value: str, threshold: float) -> str:
    """1.0 where a value is above a threshold, else 0.0."""
    return f"(CASE WHEN {value} > {number(threshold)} THEN 1E0 ELSE 0E0 END)"


def largest(values: Sequence[str]) -> str:
    """Position of the largest value, the first of equal ones, as a double."""
    listed = f"array({', '.join(values)})"
    return f"CAST(array_position({listed}, array_max({listed})) - 1 AS DOUBLE)"


def softmax(raw: Sequence[str]) -> list[str]:
    """The probability of each class, as one over a sum in which nothing can overflow but what is 0 then."""
    return [f"(1E0 / ({' + '.join(f'exp({other} - {own})' for other in raw)}))" for own in raw]


def chosen(outputs: dict[str, str], name: str) -> str:
    """One of a model's expressions.

    Raises
    ------
    InvalidParamError
        If the model has none of that name.
    """
    if name not in outputs:
        raise InvalidParamError(f"output={name!r} is not allowed; give one of {', '.join(map(repr, outputs))}")
    return outputs[name]
