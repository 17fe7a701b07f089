"""Summaries in the metadata of saved models: numbers, lists and texts of JSON, arrays in NumPy's own format."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkgd.checkpoints.codec import decode, encode
from sparkgd.engine.base import PartitionStat
from sparkgd.exceptions import CheckpointError
from sparkgd.ml.summary import HasSummary, TrainingSummary
from sparkgd.ml.warn import warn
from sparkgd.training.history import StageRecord

FORMAT = 1
"""Of what is saved. A newer one is not read."""

RECORDS = {"stages": StageRecord, "partitionStats": PartitionStat}
"""Attributes that are lists of records, which are saved as columns."""

ATTRIBUTES = (
    "status", "statusReason", "solver", "solverReason", "execution", "storage", "objective", "totalIterations",
    "totalRounds", "objectiveHistory", "gradientNormHistory", "validationHistory", "dualityGap", "secondsPerRound",
    "ingestSeconds", "pilotSeconds",
)  # fmt: skip
"""Attributes of every summary that are numbers, texts or lists of them."""


def saved(summary: TrainingSummary) -> dict[str, Any]:
    """What JSON can keep of a summary: how the fit went, and what its rows have been asked since."""
    told = {
        "fit": {name: _plain(getattr(summary, name)) for name in ATTRIBUTES},
        "records": {name: _columns(getattr(summary, name), kind) for name, kind in RECORDS.items()},
        "found": _plain(summary._found()),
    }
    document, arrays = encode(told)
    return {"format": FORMAT, "content": json.loads(document), "arrays": base64.b64encode(arrays).decode("ascii")}


def recall(model: HasSummary, told: dict[str, Any]) -> None:
    """Give a loaded model its summary back; where it cannot be read, the model has none, with a warning."""
    try:
        if told["format"] > FORMAT:
            raise ValueError(f"it has the format {told['format']} of a newer sparkgd")
        content = decode(json.dumps(told["content"]).encode("ascii"), base64.b64decode(told["arrays"]))
        training = TrainingSummary.__new__(TrainingSummary)
        vars(training).update({name: content["fit"][name] for name in ATTRIBUTES})
        vars(training).update({name: _records(content["records"][name], kind) for name, kind in RECORDS.items()})
        found = content["found"]
        summary = training if found is None else model._summary_of(training, None, model)
        if found is not None:
            summary._recall(found)
    except (CheckpointError, AttributeError, LookupError, TypeError, ValueError) as error:
        warn(f"the summary saved with this {type(model).__name__} cannot be read ({error}); it has none", UserWarning)
        return
    model._summary = summary


def _plain(value: Any) -> Any:
    """The same with Python's own numbers in place of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return {name: _plain(part) for name, part in value.items()} if isinstance(value, dict) else value


def _columns(records: Sequence[Any], kind: Any) -> dict[str, list[Any]]:
    return {field.name: [_plain(getattr(each, field.name)) for each in records] for field in dataclasses.fields(kind)}


def _records(columns: dict[str, list[Any]], kind: Any) -> list[Any]:
    names = [field.name for field in dataclasses.fields(kind)]
    return [kind(*values) for values in zip(*(columns[name] for name in names), strict=True)]
