"""Files that a client of Spark Connect can reach itself: local ones, and object stores and HDFS by Arrow."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
from pyarrow import fs

from sparkgd.exceptions import CheckpointError

PRIVATE = 0o700
"""Mode of a local directory."""


class ClientDirectory:
    """A directory in reach of this process.

    Parameters
    ----------
    files : pyarrow.fs.FileSystem
    path : str
        In that filesystem.
    """

    def __init__(self, files: fs.FileSystem, path: str) -> None:
        self._files, self.path = files, path

    @classmethod
    def at(cls, path: str) -> ClientDirectory:
        """The directory of a path or an URI."""
        with _told("reach", path):
            return cls(*fs.FileSystem.from_uri(path if "://" in path else os.path.abspath(path.removeprefix("file:"))))

    def folder(self, name: str) -> ClientDirectory:
        """A directory in it, whether it is there or not."""
        return ClientDirectory(self._files, self._within(name))

    def folders(self) -> list[str]:
        """The names of the directories in it; none if it is not there itself."""
        return self._names(fs.FileType.Directory)

    def files(self) -> list[str]:
        """The names of the files in it; none if it is not there."""
        return self._names(fs.FileType.File)

    def _names(self, kind: fs.FileType) -> list[str]:
        with _told("list", self.path):
            found = self._files.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
            return sorted(each.base_name for each in found if each.type == kind)

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        with _told("read", self._within(name)), self._files.open_input_file(self._within(name)) as source:
            data: bytes = source.read()
            return data

    def write(self, name: str, data: bytes) -> None:
        """Make a file, or put it in the place of another, as a whole; and the directory, if it is not there."""
        draft = self._within(f".{name}.{uuid.uuid4().hex}.tmp")
        with _told("write", self._within(name)):
            self._make()
            try:
                with self._files.open_output_stream(draft) as target:
                    target.write(data)
                self._files.move(draft, self._within(name))
            except BaseException:
                with suppress(OSError):
                    self._files.delete_file(draft)
                raise

    def delete(self, name: str) -> None:
        """Delete a file."""
        with _told("delete", self._within(name)):
            self._files.delete_file(self._within(name))

    def remove(self) -> None:
        """Delete the directory with all that is in it, if it is there."""
        with _told("delete", self.path):
            if self._is_there():
                self._files.delete_dir(self.path)

    def _make(self) -> None:
        """Make the directory, for its user alone where it is a local one, unless it is there."""
        if not self._is_there():
            self._files.create_dir(self.path, recursive=True)
            if isinstance(self._files, fs.LocalFileSystem):
                os.chmod(self.path, PRIVATE)

    def _is_there(self) -> bool:
        return bool(self._files.get_file_info(self.path).type == fs.FileType.Directory)

    def _within(self, name: str) -> str:
        return f"{self.path}/{name}"


@contextmanager
def _told(verb: str, path: str) -> Iterator[None]:
    """Errors of the filesystem in one sentence."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(f"cannot {verb} {path}: {reason}") from error
