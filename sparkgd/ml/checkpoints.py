"""Fits that can go on after their driver was lost: which params ask for it, and what tells two fits apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from sparkgd.checkpoints.identity import Identity, data_identity
from sparkgd.checkpoints.keeper import Checkpoints, Wish, keeping
from sparkgd.checkpoints.store import Directory
from sparkgd.engine.files import writable_directory
from sparkgd.exceptions import CheckpointWarning
from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.params.shared import value_or_none
from sparkgd.ml.warn import warn

if TYPE_CHECKING:
    from sparkgd.ml.estimator import LinearEstimator
    from sparkgd.ml.training_data import TrainingData

FREE = {
    "blockAccess", "checkpointDir", "checkpointInterval", "keepOnInterrupt", "linkPredictionCol", "maxIter",
    "maxSeconds", "predictionCol", "probabilityCol", "progress", "rawPredictionCol", "resume", "threshold",
    "thresholds",
}  # fmt: skip
"""Params that change no step of a fit: a fit may go on with others."""

HORIZONS = ("exponential", "cosine")
"""Schedules whose steps depend on ``maxIter``."""


@dataclass(frozen=True)
class Keeping:
    """Where and how fits are to be kept.

    Attributes
    ----------
    directory : Directory
    wish : Wish
    """

    directory: Directory
    wish: Wish


def keeping_of(dataset: DataFrame, estimators: Sequence[LinearEstimator[Any]]) -> Keeping | None:
    """What params ask for; the directory has been tried, before any row is read.

    Raises
    ------
    InvalidParamError
        If estimators whose models are trained together ask for different things.
    CheckpointError
        If nothing can be written there.
    """
    names = ("checkpointDir", "checkpointInterval", "resume")
    asked = {tuple(value_or_none(estimator, name) for name in names) for estimator in estimators}
    if len(asked) > 1:
        raise InvalidParamError(f"models that are trained together have one checkpoint: give them the same {names}")
    path, interval, resume = asked.pop()
    if path is None or interval < 0:
        return None
    return Keeping(writable_directory(dataset.sparkSession, path), Wish(type(estimators[0]).__name__, interval, resume))


@contextmanager
def kept(
    estimators: Sequence[LinearEstimator[Any]], data: TrainingData, purpose: str = "", has_siblings: bool = False
) -> Iterator[Checkpoints | None]:
    """Keep the training of estimators on rows, if they ask for it, until the body ends well.

    Parameters
    ----------
    estimators : sequence of LinearEstimator
    data : TrainingData
    purpose : str
        What the models are trained for, beyond what their params say.
    has_siblings : bool
        Whether it is one of several trainings of one call.

    Raises
    ------
    CheckpointError
        If what is there cannot be gone on from.
    """
    if data.keeping is None:
        yield None
        return
    more = {"purpose": purpose} if purpose else {}
    identity = Identity(data_identity(data.groups, data.blocks), [_params(each) | more for each in estimators])
    wish = replace(data.keeping.wish, has_siblings=has_siblings)
    with keeping(data.keeping.directory, identity, wish, _tell) as checkpoints:
        yield checkpoints


def _params(estimator: LinearEstimator[Any]) -> dict[str, Any]:
    """Params that change the steps of a fit, and the estimator's class."""
    free = FREE - {"maxIter"} if estimator.getOrDefault("schedule") in HORIZONS else FREE
    found = {param.name: text_of(value) for param, value in estimator.extractParamMap().items()}
    kind = type(estimator)
    kept = {name: text for name, text in sorted(found.items()) if name not in free}
    return {"estimator": f"{kind.__module__}.{kind.__qualname__}"} | kept


def text_of(value: Any) -> str:
    """A value of a param; objects with equal attributes, such as losses of a user, have the same."""
    if isinstance(value, dict):
        return repr(sorted((text_of(key), text_of(part)) for key, part in value.items()))
    kind: Any = type(value)
    if kind.__repr__ == object.__repr__:
        return f"{kind.__module__}:{kind.__qualname__} {sorted(getattr(value, '__dict__', {}).items())}"
    return repr(value)


def _tell(message: str) -> None:
    warn(message, CheckpointWarning)
