"""Files beside the data: directories for checkpoints, and what is overwritten."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sparkgd.engine.interface import is_connected

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkgd.engine.classic.files import HadoopDirectory
    from sparkgd.engine.connect.files import ClientDirectory


def writable_directory(spark: SparkSession, path: str) -> HadoopDirectory | ClientDirectory:
    """A directory in which files can be made, which has been tried: of the JVM's filesystems, else of this process's.

    Raises
    ------
    CheckpointError
        If there is no such filesystem, or nothing can be written.
    """
    directory = _directory(spark, path)
    name = f".probe-{uuid.uuid4().hex}"
    directory.write(name, b"sparkgd")
    directory.delete(name)
    return directory


def _directory(spark: SparkSession, path: str) -> HadoopDirectory | ClientDirectory:
    if is_connected(spark):
        from sparkgd.engine.connect.files import ClientDirectory

        return ClientDirectory.at(path)
    from sparkgd.engine.classic.files import HadoopDirectory

    return HadoopDirectory.at(spark, path)


def overwritten(spark: SparkSession, path: str) -> bool:
    """Whether what was at a path of Spark's filesystems was deleted; on classic Spark its own writers do it."""
    if not is_connected(spark):
        return False
    from pyspark.ml.connect.readwrite import RemoteMLWriter

    RemoteMLWriter.handleOverwrite(path, True)
    return True
