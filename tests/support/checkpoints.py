"""Checkpoints without Spark: a local directory, and fits that die."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkgd.checkpoints.identity import Identity
from sparkgd.checkpoints.keeper import Checkpoints, Wish, keeping
from sparkgd.exceptions import CheckpointError
from sparkgd.kernels import Kernel, Sums
from sparkgd.kernels.local_rows import Rows
from sparkgd.training.history import Outcome
from sparkgd.training.loop import train
from sparkgd.training.plan import Plan


@dataclass(frozen=True)
class LocalDirectory:
    """A `Directory` of the local disk."""

    where: Path

    @property
    def path(self) -> str:
        return str(self.where)

    def folder(self, name: str) -> LocalDirectory:
        return LocalDirectory(self.where / name)

    def folders(self) -> list[str]:
        return sorted(each.name for each in self.where.glob("*") if each.is_dir())

    def files(self) -> list[str]:
        return sorted(each.name for each in self.where.glob("*") if each.is_file())

    def read(self, name: str) -> bytes:
        return (self.where / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        try:
            self.where.mkdir(parents=True, exist_ok=True)
            (self.where / name).write_bytes(data)
        except OSError as error:
            raise CheckpointError(f"cannot write {self.where / name}: {error}") from error

    def delete(self, name: str) -> None:
        (self.where / name).unlink()

    def remove(self) -> None:
        shutil.rmtree(self.where, ignore_errors=True)


class DriverLostError(BaseException):
    """What a test raises where a driver would be killed."""


@dataclass
class Mortal:
    """Rows over which only so many rounds can be made."""

    rows: Rows
    left: int
    rounds: int = 0

    def round(self, kernels: Sequence[Kernel], description: str = "") -> list[Sums]:
        """See `Rows`."""
        if self.left == 0:
            raise DriverLostError
        self.left -= 1
        self.rounds += 1
        return self.rows.round(kernels, description)


@dataclass
class Bench:
    """Fits of one identity in one directory.

    Attributes
    ----------
    where : Path
    told : list of str
        Warnings so far.
    """

    where: Path
    identity: Identity = field(default_factory=lambda: Identity({"number of features": 4}, [{"regParam": "0.1"}]))
    interval: int = 3
    told: list[str] = field(default_factory=list)

    def keeping(self, resume: str = "auto") -> Any:
        """A context of `Checkpoints`."""
        wish = Wish("Fit", self.interval, resume)
        return keeping(LocalDirectory(self.where), self.identity, wish, self.told.append)

    def train(self, rows: Rows, plans: Sequence[Plan[Any]], resume: str = "auto") -> list[Outcome]:
        """The outcomes of plans, kept."""
        with self.keeping(resume) as keeper:
            return train(rows, plans, keeper=keeper)  # type: ignore[return-value]

    def files(self) -> list[Path]:
        """All checkpoints, oldest first."""
        return sorted(path for path in self.where.rglob("*") if path.is_file())


__all__ = ["Bench", "Checkpoints", "DriverLostError", "LocalDirectory", "Mortal"]
