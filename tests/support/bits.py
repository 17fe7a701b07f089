"""The bits of a state, by which two are the same."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np


def bits(value: Any) -> bytes:
    """Of numbers, arrays, and tuples and dataclasses of these; pickles alone also differ by what is shared in them."""
    if isinstance(value, np.ndarray):
        return pickle.dumps((value.dtype.str, value.shape, value.tobytes()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return pickle.dumps([(field.name, bits(getattr(value, field.name))) for field in dataclasses.fields(value)])
    if isinstance(value, tuple | list):
        return pickle.dumps([bits(part) for part in value])
    return pickle.dumps(value)
