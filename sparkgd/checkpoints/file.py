"""The bytes of a checkpoint's file: whether they are whole is known before anything of them is understood.

In this order: eight bytes of magic, the number of all bytes, the SHA-256 of all that follow it, the version of the
format, the lengths of header and document, header and document (JSON), arrays. The first three are the same in every
version of the format.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

from sparkgd.checkpoints.codec import UNINTELLIGIBLE
from sparkgd.exceptions import CheckpointFormatError, DamagedCheckpointError

MAGIC = b"sparkgd\x01"

FORMAT_VERSION = 1
"""Of the files that are written, and the newest that can be read."""

ENVELOPE = struct.Struct("<8sQ32s")
LENGTHS = struct.Struct("<IQQ")


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes
    ----------
    header : dict of str to JSON
        What the file is about, for it to be refused without a look at the rest.
    document, arrays : bytes
        See `sparkgd.checkpoints.codec`.
    """

    header: dict[str, Any]
    document: bytes
    arrays: bytes


def packed(content: Content, version: int = FORMAT_VERSION) -> bytes:
    """The bytes of a file."""
    header = json.dumps(content.header, allow_nan=False).encode("ascii")
    lengths = LENGTHS.pack(version, len(header), len(content.document))
    parts = (lengths, header, content.document, content.arrays)
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part)
    size = ENVELOPE.size + sum(len(part) for part in parts)
    return b"".join((ENVELOPE.pack(MAGIC, size, checksum.digest()), *parts))


def unpacked(data: bytes) -> Content:
    """What the bytes of a file hold.

    Raises
    ------
    CheckpointFormatError
        If they are no checkpoint, or one of a newer format.
    DamagedCheckpointError
        If some are missing, or others than those that were written.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise CheckpointFormatError("it is no checkpoint of sparkgd: it begins otherwise")
    if len(data) < ENVELOPE.size:
        raise DamagedCheckpointError(f"it is truncated: {len(data)} bytes are there, not even those of its beginning")
    _, size, checksum = ENVELOPE.unpack_from(data)
    if len(data) < size:
        raise DamagedCheckpointError(f"it is truncated: {len(data)} of {size} bytes are there")
    rest = memoryview(data)[ENVELOPE.size :]
    if len(data) > size or hashlib.sha256(rest).digest() != checksum:
        raise DamagedCheckpointError("its checksum does not hold: some of its bytes are not those that were written")
    try:
        return _understood(rest)
    except UNINTELLIGIBLE as error:
        raise CheckpointFormatError(f"its content cannot be understood ({error})") from error


def _understood(rest: memoryview) -> Content:
    version, header, document = LENGTHS.unpack_from(rest)
    if version > FORMAT_VERSION:
        raise CheckpointFormatError(
            f"it has format {version} of a newer sparkgd, and this one reads formats up to {FORMAT_VERSION}"
        )
    first, second = LENGTHS.size + header, LENGTHS.size + header + document
    about = json.loads(bytes(rest[LENGTHS.size : first]))
    if not isinstance(about, dict):
        raise CheckpointFormatError("its header is none")
    return Content(about, bytes(rest[first:second]), bytes(rest[second:]))
