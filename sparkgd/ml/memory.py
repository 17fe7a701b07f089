"""Models that remember the rows they have learned from, well enough to go on with others."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.sql import SparkSession

from sparkgd.checkpoints.codec import decode, encode
from sparkgd.exceptions import CheckpointError, ModelFormatError
from sparkgd.training.memory import Memory

Array: TypeAlias = npt.NDArray[np.float64]

FORMAT = 1
"""Of what is saved. A newer one is not read."""

PIECE = 1 << 20
"""Bytes of a row of what is saved."""

DIRECTORY = "memory"
"""Where a saved model has it."""


class HasMemory:
    """A model that ``partialFit`` has trained remembers its rows, by their Hessian."""

    _memory: Memory | None = None

    @property
    def hasMemory(self) -> bool:
        """Whether ``partialFit`` can go on with this model: another ``partialFit`` has trained it."""
        return self._memory is not None

    @property
    def priorPrecision(self) -> Array:
        """What the rows so far say of the coefficients: the precision of the prior with which ``partialFit`` goes on.

        Returns
        -------
        ndarray (n, n)
            The sum of the loss's Hessians over all rows so far, by the coefficients, class by class, and then the
            intercepts. Its inverse is the covariance of a fit of maximum likelihood without a penalty.

        Raises
        ------
        RuntimeError
            If the model has no memory of its rows.
        """
        if self._memory is None:
            raise RuntimeError(f"this {type(self).__name__} has no memory of its rows: only partialFit gives it one")
        return self._memory.past.precision


class Remembering(Protocol):
    """A model with a memory, or room for one."""

    _memory: Memory | None


def told(model: Remembering) -> dict[str, Any]:
    """What the metadata of a saved model say of its memory."""
    return {} if model._memory is None else {DIRECTORY: {"format": FORMAT, "batches": model._memory.batches}}


def save_memory(model: Remembering, path: str, spark: SparkSession) -> None:
    """Write it, if there is one: a document and arrays, in pieces, as parquet."""
    if model._memory is None:
        return
    rows = [
        (part, number, bytearray(content[start : start + PIECE]))
        for part, content in zip(("document", "arrays"), encode(model._memory), strict=True)
        for number, start in enumerate(range(0, len(content), PIECE))
    ]
    frame = spark.createDataFrame(rows, "part string, number int, content binary")
    frame.coalesce(1).write.parquet(f"{path}/{DIRECTORY}")


def recall_memory(model: Remembering, path: str, metadata: dict[str, Any], spark: SparkSession) -> None:
    """Give a loaded model its memory back.

    Raises
    ------
    ModelFormatError
        If it cannot be read: a model that went on without it would forget all its rows.
    """
    about = metadata.get(DIRECTORY)
    if about is None:
        return
    where = f"{path}/{DIRECTORY}"
    if about["format"] > FORMAT:
        raise ModelFormatError(f"{where} has the format {about['format']} of a newer sparkgd")
    pieces: dict[str, list[bytes]] = {"document": [], "arrays": []}
    for row in sorted(spark.read.parquet(where).collect(), key=lambda row: row.number):
        pieces[row.part].append(bytes(row.content))
    try:
        memory = decode(b"".join(pieces["document"]), b"".join(pieces["arrays"]))
    except CheckpointError as error:
        raise ModelFormatError(f"{where} is damaged: {error}") from error
    if not isinstance(memory, Memory):
        raise ModelFormatError(f"{where} is damaged: it holds a {type(memory).__name__}")
    model._memory = memory
