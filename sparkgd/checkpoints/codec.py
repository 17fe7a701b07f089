"""Frozen states as one JSON document and the bytes of their arrays, and back, to the last bit.

Nothing is ever unpickled or evaluated. A class is known by its name, and only dataclasses and enums of this package are
looked up; arrays are in NumPy's own format, without objects.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import math
import re
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from sparkgd.exceptions import CheckpointError, CheckpointFormatError

MODULE = re.compile(r"sparkgd(\.[a-z_]\w*)+")
"""Where classes may come from."""

KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool, np.bool_),
    "int": (int, np.integer),
    "float": (int, float, np.number),
    "str": (str,),
    "Array": (np.ndarray,),
}
"""What fields that are declared so may hold."""

UNINTELLIGIBLE = (
    ValueError, TypeError, LookupError, AttributeError, ImportError, ArithmeticError, RecursionError, EOFError,
    struct.error,
)  # fmt: skip
"""What comes of reading what `encode` has not written."""


def encode(value: Any) -> tuple[bytes, bytes]:
    """A value as a JSON document and the arrays that it refers to.

    It may consist of None, booleans, numbers, strings, tuples, lists, dicts, frozensets of what can be sorted, enums,
    arrays and NumPy's scalars, and of dataclasses of this package. An array that occurs several times is written once.
    Arrays come back contiguous, in the order of their axes that they had.

    Raises
    ------
    CheckpointError
        If a part of the value is none of these.
    """
    encoder = _Encoder()
    content = encoder.node(value)
    document = {"classes": encoder.classes, "value": content}
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii"), encoder.arrays.getvalue()


def decode(document: bytes, arrays: bytes) -> Any:
    """The value of a document and its arrays.

    Raises
    ------
    CheckpointFormatError
        If they are not what `encode` makes, or name a class that does not exist in this form here.
    """
    try:
        return _Decoder(json.loads(document, parse_constant=_refuse), _arrays(arrays)).value()
    except CheckpointError:
        raise
    except UNINTELLIGIBLE as error:
        raise CheckpointFormatError(f"its content cannot be understood ({error})") from error


class _Encoder:
    """Values as JSON: what JSON has itself is itself, with tuples as its lists; all else is an object of one entry."""

    def __init__(self) -> None:
        self.classes: list[list[Any]] = []
        self.arrays = io.BytesIO()
        self._kinds: dict[type, int] = {}
        self._places: dict[int, int] = {}
        self._alive: list[npt.NDArray[Any]] = []  # so that no other array gets the same id

    def node(self, value: Any) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
        if type(value) is tuple:
            return [self.node(part) for part in value]
        if type(value) is list:
            return {"list": [self.node(part) for part in value]}
        if type(value) is frozenset:
            return {"set": [self.node(part) for part in sorted(value)]}
        if type(value) is dict:
            return {"dict": [[self.node(key), self.node(part)] for key, part in value.items()]}
        if isinstance(value, np.generic):
            return {"scalar": self._place(np.asarray(value))}
        if isinstance(value, np.ndarray):
            return {"array": self._place(value)}
        if isinstance(value, Enum):
            return {"enum": [self._kind(type(value), ()), value.name]}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            names = [field.name for field in dataclasses.fields(value)]
            kind = self._kind(type(value), names)
            return {"object": [kind, *(self.node(getattr(value, name)) for name in names)]}
        raise CheckpointError(f"a {type(value).__module__}.{type(value).__qualname__} is no state that can be kept")

    def _kind(self, kind: type, names: Sequence[str]) -> int:
        if kind not in self._kinds:
            if MODULE.fullmatch(kind.__module__) is None:
                raise CheckpointError(f"{kind.__module__}.{kind.__qualname__} is no class of this package")
            self._kinds[kind] = len(self.classes)
            self.classes.append([kind.__module__, kind.__qualname__, *names])
        return self._kinds[kind]

    def _place(self, array: npt.NDArray[Any]) -> int:
        if id(array) not in self._places:
            if array.dtype.hasobject:
                raise CheckpointError("an array of objects is no state that can be kept")
            self._places[id(array)] = len(self._alive)
            self._alive.append(array)
            np.lib.format.write_array(self.arrays, np.asarray(array), allow_pickle=False)
        return self._places[id(array)]


class _Decoder:
    """The way back."""

    def __init__(self, document: Any, arrays: Sequence[npt.NDArray[Any]]) -> None:
        self._content, self._arrays = document["value"], arrays
        self._classes = [_class_of(*entry) for entry in document["classes"]]
        self._of: dict[str, Callable[[Any], Any]] = {
            "float": lambda digits: struct.unpack(">d", bytes.fromhex(digits))[0],
            "list": lambda nodes: [self._node(node) for node in nodes],
            "set": lambda nodes: frozenset(self._node(node) for node in nodes),
            "dict": lambda pairs: {self._node(key): self._node(node) for key, node in pairs},
            "scalar": lambda place: arrays[place][()],
            "array": lambda place: arrays[place],
            "enum": self._enum,
            "object": self._object,
        }

    def value(self) -> Any:
        return self._node(self._content)

    def _node(self, node: Any) -> Any:
        if isinstance(node, list):
            return tuple(self._node(part) for part in node)
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        return self._of[kind](content)

    def _enum(self, content: Any) -> Enum:
        number, name = content
        kind: type = self._classes[number]
        if not issubclass(kind, Enum):
            raise CheckpointFormatError(f"{kind.__qualname__} is no enum")
        found: Enum = kind[name]
        return found

    def _object(self, content: Any) -> Any:
        number, *nodes = content
        kind: Any = self._classes[number]
        if issubclass(kind, Enum):
            raise CheckpointFormatError(f"{kind.__qualname__} is no dataclass")
        fields = dataclasses.fields(kind)
        values = [self._node(node) for node in nodes]
        for field, value in zip(fields, values, strict=True):
            _check_kind(f"{kind.__qualname__}.{field.name}", str(field.type), value)
        return kind(**{field.name: value for field, value in zip(fields, values, strict=True)})


def _check_kind(name: str, declared: str, value: Any) -> None:
    """Refuse a value of another kind than its field is declared with, where that is one of `KINDS`."""
    kind, _, rest = declared.partition(" | ")
    if value is None and rest == "None":
        return
    if kind == "tuple[float, ...]":
        is_good = isinstance(value, tuple) and all(isinstance(part, KINDS["float"]) for part in value)
    else:
        is_good = kind not in KINDS or rest not in ("", "None") or isinstance(value, KINDS[kind])
    if not is_good or (isinstance(value, np.ndarray) and value.dtype.kind not in "biuf"):
        raise CheckpointFormatError(f"{name} is a {type(value).__name__}, not {declared}")


def _class_of(module: str, name: str, *names: str) -> type:
    """A dataclass of these fields, or an enum, of this package."""
    if MODULE.fullmatch(module) is None:
        raise CheckpointFormatError(f"it names the class {module}.{name}, which is not of this package")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    if not isinstance(found, type) or found.__module__ != module:
        raise CheckpointFormatError(f"{module}.{name} is no class of this package")
    if issubclass(found, Enum):
        return found
    if not dataclasses.is_dataclass(found) or [field.name for field in dataclasses.fields(found)] != list(names):
        raise CheckpointFormatError(f"{module}.{name} has other fields in this version of sparkgd")
    return found


def _arrays(content: bytes) -> list[npt.NDArray[Any]]:
    stream = io.BytesIO(content)
    found = []
    while stream.tell() < len(content):
        found.append(np.lib.format.read_array(stream, allow_pickle=False))
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
