"""Who keeps the plans of a fit: what there is to go on from, when it is written, and when it goes."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sparkgd
from sparkgd.checkpoints.codec import decode, encode
from sparkgd.checkpoints.file import Content
from sparkgd.checkpoints.identity import Identity
from sparkgd.checkpoints.store import Directory, Found, Store
from sparkgd.exceptions import CheckpointError, CheckpointFormatError, ForeignDataError, ForeignParamsError
from sparkgd.training.history import Kept, StageRecord

FOLDER = re.compile(r"\w+-[0-9a-f]{16}")
"""Names of directories that have the checkpoints of one fit each."""

FEATURES = "number of features"

HEADER: dict[str, tuple[type, ...]] = {
    "library": (str,), "round": (int,), "seconds": (float, int), "written": (float, int), "data": (dict,),
    "params": (list,),
}  # fmt: skip
"""What is told of a fit, to be read without its states."""

Tell: TypeAlias = Callable[[str], None]
"""Warns the user."""

_active: set[str] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class Wish:
    """How a fit is to be kept.

    Attributes
    ----------
    name : str
        Of the estimator.
    interval : int
        Rounds over all rows from one checkpoint to the next.
    resume : str
        ``auto`` goes on from a checkpoint of the same fit and refuses those of others, ``never`` from none, ``force``
        from any.
    has_siblings : bool
        Whether it is one of several fits that are made one after the other, so that what others have left, when the
        driver was lost in one of them, is no surprise.
    """

    name: str
    interval: int = 10
    resume: str = "auto"
    has_siblings: bool = False


class Checkpoints:
    """A `sparkgd.training.history.Keeper` that writes what it sees into files.

    Parameters
    ----------
    store : Store
        Where they are written.
    identity : Identity
    interval : int
    tell : callable
    source : Store or None
        Where there is something to go on from.
    found : Found or None
        That.
    """

    def __init__(
        self, store: Store, identity: Identity, interval: int, tell: Tell, source: Store | None, found: Found | None
    ) -> None:
        self._store, self._identity, self._interval, self._tell = store, identity, interval, tell
        self._source, self._ended = source, list[tuple[Kept, ...]]()
        header: dict[str, Any] = {} if found is None else found.content.header
        self._resumed = () if found is None else _calls(found.content, is_foreign=source is not store)
        self._rounds, self.seconds = int(header.get("round", 0)), float(header.get("seconds", 0.0))
        self._is_first = True
        self._name = found.name if found is not None and source is store else None

    def begun(self, plans: int) -> Sequence[Kept] | None:
        """What so many plans, which begin now, have to go on from, if anything."""
        number = len(self._ended)
        if number >= len(self._resumed):
            return None
        if len(self._resumed[number]) != plans:
            raise CheckpointError(f"the checkpoint is of {len(self._resumed[number])} models where there are {plans}")
        return self._resumed[number]

    def after(self, kept: Callable[[], Sequence[Kept]], seconds: float) -> None:
        """Write a checkpoint, if it is time; one that cannot be written does not end the fit."""
        self._rounds += 1
        if self._rounds % self._interval:
            return
        try:
            self._save(tuple(kept()), seconds)
        except CheckpointError as error:
            self._tell(f"no checkpoint was written after round {self._rounds}, and training goes on: {error}")

    def ended(self, kept: Sequence[Kept]) -> None:
        """The plans are over."""
        self._ended.append(tuple(kept))

    def discard(self) -> None:
        """Delete all checkpoints of the fit."""
        for store in (self._store, self._source):
            if store is not None:
                try:
                    store.directory.remove()
                except CheckpointError as error:
                    self._tell(f"the checkpoints in {store.directory.path} were not deleted: {error}")

    def _save(self, kept: tuple[Kept, ...], seconds: float) -> None:
        document, arrays = encode((*self._ended, kept))
        header = {
            "library": sparkgd.__version__,
            "round": self._rounds,
            "seconds": seconds,
            "written": time.time(),
            "data": self._identity.data,
            "params": self._identity.params,
        }
        if self._is_first:  # what was not to be gone on from must not be taken for newer than this
            self._store.forget_after(self._name)
        self._store.save(self._rounds, Content(header, document, arrays))
        self._is_first = False


@contextmanager
def keeping(directory: Directory, identity: Identity, wish: Wish, tell: Tell) -> Iterator[Checkpoints]:
    """Keep a fit in a directory of its own within this one; its checkpoints are deleted if the body ends well.

    Raises
    ------
    CheckpointError
        If what is there cannot be gone on from, or the fit is under way already.
    """
    store = Store(directory.folder(f"{wish.name}-{identity.digest[:16]}"))
    with _alone(store.directory.path):
        source, found = _source(directory, store, identity, wish, tell)
        for reason in () if found is None else found.passed_over:
            tell(f"a checkpoint in {store.directory.path} was passed over: {reason}")
        checkpoints = Checkpoints(store, identity, wish.interval, tell, source, found)
        yield checkpoints
        checkpoints.discard()


@contextmanager
def _alone(path: str) -> Iterator[None]:
    with _lock:
        if path in _active:
            raise CheckpointError(f"the same fit is under way in this process and is kept in {path}")
        _active.add(path)
    try:
        yield
    finally:
        with _lock:
            _active.discard(path)


def _source(
    directory: Directory, store: Store, identity: Identity, wish: Wish, tell: Tell
) -> tuple[Store, Found] | tuple[None, None]:
    """Where to go on from."""
    if wish.resume == "never":
        return None, None
    found = _newest(store)
    if found is not None:
        if wish.resume == "auto":
            _check_version(store, found)
        return store, found
    others = _others(directory, store)
    if not others:
        return None, None
    other, theirs = max(others, key=lambda pair: float(pair[1].content.header.get("written", 0.0)))
    if wish.resume == "auto":
        foreign = _foreign(directory, theirs, identity)
        if not wish.has_siblings:
            raise foreign
        tell(f"nothing to go on from: {foreign}")
        return None, None
    _check_shape(other, theirs, identity)
    return other, theirs


def _newest(store: Store) -> Found | None:
    """The newest checkpoint that can be read.

    Raises
    ------
    CheckpointError
        Also if its header says of something what cannot be.
    """
    found = store.newest()
    if found is None:
        return None
    for name, kinds in HEADER.items():
        value = found.content.header.get(name)
        if not isinstance(value, kinds) or (isinstance(value, float) and not math.isfinite(value)):
            raise CheckpointFormatError(f"the checkpoint in {store.directory.path} is of no fit: {name} is {value!r}")
    return found


def _others(directory: Directory, store: Store) -> list[tuple[Store, Found]]:
    """What other fits have left, those under way in this process not counted."""
    found = []
    for name in directory.folders():
        other = Store(directory.folder(name))
        path = other.directory.path
        if FOLDER.fullmatch(name) and path != store.directory.path and path not in _active:
            newest = _newest(other)
            if newest is not None:
                found.append((other, newest))
    return found


def _check_version(store: Store, found: Found) -> None:
    library = found.content.header.get("library")
    if library != sparkgd.__version__:
        raise CheckpointFormatError(
            f"the checkpoint {found.name} in {store.directory.path} is of sparkgd {library}, and this is "
            f"{sparkgd.__version__}, whose steps may differ. resume='force' goes on from it, resume='never' starts anew"
        )


def _foreign(directory: Directory, found: Found, identity: Identity) -> CheckpointError:
    """Whose checkpoints they are that a directory holds."""
    header = found.content.header
    data, params = identity.other_data(header.get("data", {})), identity.other_params(header.get("params", []))
    kind = ForeignParamsError if data is None else ForeignDataError
    told = [f"other {name}: {text}" for name, text in (("data", data), ("params", params)) if text is not None]
    return kind(
        f"{directory.path} has checkpoints of a fit of {'; and '.join(told)}. resume='never' starts anew, "
        "resume='force' goes on from them all the same; or give another checkpointDir"
    )


def _check_shape(store: Store, found: Found, identity: Identity) -> None:
    """Refuse what no force can make fit."""
    header = found.content.header
    there, here = header.get("data", {}).get(FEATURES), identity.data.get(FEATURES)
    if there != here:
        raise ForeignDataError(f"the checkpoints in {store.directory.path} are of {there} features, the data of {here}")
    models = len(header.get("params", []))
    if models != len(identity.params):
        raise ForeignParamsError(
            f"the checkpoints in {store.directory.path} are of {models} models, and this fit is of "
            f"{len(identity.params)}"
        )


def _is_kept(value: Any) -> bool:
    return isinstance(value, Kept) and all(isinstance(record, StageRecord) for record in value.rounds)


def _calls(content: Content, is_foreign: bool) -> tuple[tuple[Kept, ...], ...]:
    found: Any = decode(content.document, content.arrays)
    calls = found if isinstance(found, tuple) else (None,)
    if not all(isinstance(call, tuple) and all(map(_is_kept, call)) for call in calls):
        raise CheckpointFormatError("the checkpoint is not of plans")
    return tuple(tuple(replace(kept, is_foreign=is_foreign) for kept in call) for call in calls)
