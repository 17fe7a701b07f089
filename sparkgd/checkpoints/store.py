"""The checkpoints of one fit: a file for each, of which the last two stay; a damaged one is passed over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sparkgd.checkpoints.file import Content, packed, unpacked
from sparkgd.exceptions import CheckpointError

KEPT = 2
"""Files that stay: should the last one be damaged, there is one before it."""

NAME = re.compile(r"round-(\d{9,})\.checkpoint")


class Directory(Protocol):
    """A directory of some filesystem; all errors of that are `CheckpointError`."""

    @property
    def path(self) -> str:
        """For people, and different for different directories."""
        ...

    def folder(self, name: str) -> Directory:
        """A directory in it, whether it is there or not."""
        ...

    def folders(self) -> list[str]:
        """The names of the directories in it; none if it is not there itself."""
        ...

    def files(self) -> list[str]:
        """The names of the files in it; none if it is not there."""
        ...

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Make a file, or put it in the place of another, as a whole; and the directory, if it is not there."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file."""
        ...

    def remove(self) -> None:
        """Delete the directory with all that is in it, if it is there."""
        ...


@dataclass(frozen=True)
class Found:
    """A checkpoint that can be read.

    Attributes
    ----------
    name : str
        Of the file.
    content : Content
    passed_over : tuple of str
        Why newer ones cannot be read, one sentence each.
    """

    name: str
    content: Content
    passed_over: tuple[str, ...]


class Store:
    """The checkpoints in one directory."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory

    def newest(self) -> Found | None:
        """The newest checkpoint that can be read; None where there is none at all.

        Raises
        ------
        CheckpointError
            If there are some, but none can be read: that of the only one, or one that tells of all.
        """
        refused: list[tuple[str, CheckpointError]] = []
        for name in self.names():
            try:
                content = unpacked(self.directory.read(name))
            except CheckpointError as error:
                refused.append((name, error))
            else:
                return Found(name, content, tuple(f"{other}: {error}" for other, error in refused))
        if refused:
            raise self._none_good(refused)
        return None

    def _none_good(self, refused: Sequence[tuple[str, CheckpointError]]) -> CheckpointError:
        """One error for all, of their class where that is the same."""
        kinds = {type(error) for _, error in refused}
        told = "; ".join(f"{name}: {error}" for name, error in refused)
        kind = kinds.pop() if len(kinds) == 1 else CheckpointError
        return kind(f"no checkpoint in {self.directory.path} can be used. {told}")

    def save(self, number: int, content: Content) -> None:
        """Write a checkpoint after so many rounds, then delete all but it and the one before it."""
        name = f"round-{number:09}.checkpoint"
        self.directory.write(name, packed(content))
        older = [other for other in self.names() if _number(other) < number]
        for other in older[KEPT - 1 :]:
            self.directory.delete(other)

    def forget_after(self, name: str | None) -> None:
        """Delete what is newer than a checkpoint; all, if there is none."""
        for other in self.names():
            if name is None or _number(other) > _number(name):
                self.directory.delete(other)

    def names(self) -> list[str]:
        """The files, newest first."""
        found = [name for name in self.directory.files() if NAME.fullmatch(name)]
        return sorted(found, key=_number, reverse=True)


def _number(name: str) -> int:
    matched = NAME.fullmatch(name)
    assert matched is not None
    return int(matched[1])
