"""What a fit is about, in JSON: two fits of which this is equal take the same way, bit by bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkgd.data.statistics import Group, Statistics

SHOWN = 60
"""Letters of a value in a message."""


@dataclass(frozen=True)
class Identity:
    """What a fit is about.

    Attributes
    ----------
    data : dict of str to JSON
        By the names that messages have for them.
    params : list of dict of str to JSON
        Those of each model that change its way, by name.
    """

    data: dict[str, Any]
    params: list[dict[str, Any]]

    @property
    def digest(self) -> str:
        """Equal for equal identities."""
        return _digest(json.dumps([self.data, self.params], sort_keys=True).encode())

    def other_data(self, data: Mapping[str, Any]) -> str | None:
        """What is different in other data, if anything."""
        return _difference(data, self.data)

    def other_params(self, params: Sequence[Mapping[str, Any]]) -> str | None:
        """What is different in other params, if anything."""
        if len(params) != len(self.params):
            return f"{len(params)} models there, {len(self.params)} here"
        pairs = zip(params, self.params, strict=True)
        found = [(number, _difference(there, here)) for number, (there, here) in enumerate(pairs)]
        told = [f"{text}, of model {number}" if len(params) > 1 else text for number, text in found if text is not None]
        return None if not told else f"{told[0]}" + (f", and of {len(told) - 1} more models" if len(told) > 1 else "")


def data_identity(groups: Mapping[Group, Statistics], blocks: Sequence[str]) -> dict[str, Any]:
    """What is known of packed rows by their statistics, by group, and by the fingerprint of each block."""
    found: dict[str, Any] = {"number of features": 0, "number of partitions": len(blocks)}
    for group, part in sorted(groups.items()):
        of = f" of fold {group.fold} and label {group.label}" if len(groups) > 1 else ""
        found["number of features"] = len(part.mean)
        found |= {
            f"number of rows{of}": part.rows,
            f"sum of weights{of}": repr(part.weight),
            f"range of labels{of}": repr((part.label_low, part.label_high)),
            f"mean of labels{of}": repr(part.label_mean),
            f"squares of labels{of}": repr(part.label_squares),
            f"range of offsets{of}": repr((part.offset_low, part.offset_high)),
            f"means of features{of}": _digest_of(part.mean),
            f"squares of features{of}": _digest_of(part.squares),
        }
    return found | {"order of rows": _digest(" ".join(blocks).encode())}


def _digest_of(array: npt.NDArray[np.float64]) -> str:
    return _digest(np.ascontiguousarray(array).tobytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first entries that differ, in the order of ``here``."""
    names = [name for name in [*here, *there] if there.get(name) != here.get(name)]
    told = [f"{name} ({_shown(there.get(name))} there, {_shown(here.get(name))} here)" for name in dict.fromkeys(names)]
    return None if not told else ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")


def _shown(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
