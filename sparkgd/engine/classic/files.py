"""Files of any filesystem that Hadoop knows, through the driver's JVM: a local path, HDFS, an object store."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from sparkgd.exceptions import CheckpointError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BUFFER = 1 << 16
"""Bytes that Hadoop collects before it writes them."""


class HadoopDirectory:
    """A directory; what this process makes in it can be read by its user alone.

    Parameters
    ----------
    jvm : JVMView
    files : JavaObject
        ``org.apache.hadoop.fs.FileSystem``
    path : JavaObject
        ``org.apache.hadoop.fs.Path``
    """

    def __init__(self, jvm: Any, files: Any, path: Any) -> None:
        self._hadoop, self._files, self._path = jvm.org.apache.hadoop.fs, files, path
        self._jvm = jvm
        self.path = str(path.toString())

    @classmethod
    def at(cls, spark: SparkSession, path: str) -> HadoopDirectory:
        """The directory of that path, in Spark's own configuration of Hadoop."""
        jvm: Any = spark._jvm
        with _told("reach", path):
            configuration = spark._jsc.hadoopConfiguration()
            where = jvm.org.apache.hadoop.fs.Path(path)
            files = where.getFileSystem(configuration)
            whole = files.makeQualified(where)
            if files.getScheme() == "file":  # without Hadoop's own files of checksums beside ours
                files = jvm.org.apache.hadoop.fs.FileSystem.getLocal(configuration).getRaw()
        return cls(jvm, files, whole)

    def folder(self, name: str) -> HadoopDirectory:
        """A directory in it, whether it is there or not."""
        return HadoopDirectory(self._jvm, self._files, self._hadoop.Path(self._path, name))

    def folders(self) -> list[str]:
        """The names of the directories in it; none if it is not there itself."""
        return self._names(of_files=False)

    def files(self) -> list[str]:
        """The names of the files in it; none if it is not there."""
        return self._names(of_files=True)

    def _names(self, of_files: bool) -> list[str]:
        with _told("list", self.path):
            if not self._files.exists(self._path):
                return []
            found = self._files.listStatus(self._path)
            return sorted(str(each.getPath().getName()) for each in found if bool(each.isFile()) == of_files)

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        with _told("read", f"{self.path}/{name}"), self._spool() as spool:
            self._copy(self._files.open(self._hadoop.Path(self._path, name)), self._jvm.java.io.FileOutputStream(spool))
            return Path(spool).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Make a file, or put it in the place of another, as a whole; and the directory, if it is not there."""
        target = self._hadoop.Path(self._path, name)
        draft = self._hadoop.Path(self._path, f".{name}.{uuid.uuid4().hex}.tmp")
        with _told("write", f"{self.path}/{name}"):
            self._make()
            try:
                self._fill(draft, data)
                if self._files.exists(target):
                    self._files.delete(target, False)
                if not self._files.rename(draft, target):
                    raise CheckpointError(f"{self.path}/{name} cannot be written: its draft could not be renamed")
            except BaseException:
                with suppress(Py4JError, PySparkException):
                    self._files.delete(draft, False)
                raise

    def delete(self, name: str) -> None:
        """Delete a file."""
        with _told("delete", f"{self.path}/{name}"):
            self._files.delete(self._hadoop.Path(self._path, name), False)

    def remove(self) -> None:
        """Delete the directory with all that is in it, if it is there."""
        with _told("delete", self.path):
            self._files.delete(self._path, True)

    def _make(self) -> None:
        """Make the directory, for its user alone, unless it is there."""
        if not self._files.exists(self._path):
            self._files.mkdirs(self._path, self._hadoop.permission.FsPermission("700"))

    def _fill(self, draft: Any, data: bytes) -> None:
        private, copies = self._hadoop.permission.FsPermission("600"), self._files.getDefaultReplication(draft)
        size = self._files.getDefaultBlockSize(draft)
        with self._spool() as spool:
            Path(spool).write_bytes(data)
            target = self._files.create(draft, private, True, BUFFER, copies, size, None)
            self._copy(self._jvm.java.io.FileInputStream(spool), target, is_lasting=True)

    def _copy(self, source: Any, target: Any, is_lasting: bool = False) -> None:
        """Copy a stream to its end, onto the disk itself if it is to last; both are closed."""
        try:
            source.transferTo(target)
            if is_lasting:
                target.hsync()
        except BaseException:
            with suppress(Py4JError, PySparkException):
                target.close()
            raise
        finally:
            source.close()
        target.close()

    @contextmanager
    def _spool(self) -> Iterator[str]:
        """A private local file through which bytes go to the JVM and back: by its socket they take 50 times longer."""
        handle, path = tempfile.mkstemp(prefix="sparkgd-")
        os.close(handle)
        try:
            yield path
        finally:
            os.unlink(path)


@contextmanager
def _told(verb: str, path: str) -> Iterator[None]:
    """Errors of Hadoop in one sentence."""
    try:
        yield
    except (Py4JError, PySparkException, OSError) as error:
        java = getattr(error, "java_exception", None)
        reason = str(error if java is None else java.toString()).strip().split("\n")[0]
        raise CheckpointError(f"cannot {verb} {path}: {reason}") from error
