"""Where a round finds the rows of its shares.

Blocks are files of the executors' local disks. Where these do not last, a fit steps down to what does.
"""

from __future__ import annotations

import pickle
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from sparkgd.data.blockfile import block_of, map_block, open_block, remove_block
from sparkgd.engine.executors import Kept, LocalPairs, OnPairs, Pair, Pairs, Parcel
from sparkgd.engine.handles import read_handles
from sparkgd.engine.partial import Work
from sparkgd.engine.shares import Cuts, Shares, slices_of

PATIENCE = 3
"""Rounds in a row that miss what was kept, from which on it is not kept any more."""


class Storage(ABC):
    """What keeps the rows of shares between rounds.

    Attributes
    ----------
    name : str
        For people to read.

    Parameters
    ----------
    shares : Shares
    reason : str
        Why it is not the one before it; nothing for the first.
    """

    name: ClassVar[str]

    def __init__(self, shares: Shares, reason: str = "") -> None:
        self._shares, self._reason = shares, reason

    def __str__(self) -> str:
        return f"{self.name}, since {self._reason}" if self._reason else self.name

    @abstractmethod
    def partials(self, work: Parcel, known: frozenset[int] = frozenset()) -> Pairs:
        """What the work makes of each share, by its number; of those that are known there is none."""

    def from_source(self, work: Parcel, missing: set[int]) -> list[Pair]:
        """The same of the missing shares, whose partitions are packed for this one scan."""
        cuts: Cuts = {}
        for partition, shares in self._shares.cuts().items():
            if wanted := [share for share in shares if share[0] in missing]:
                cuts[partition] = wanted
        source = self._shares.packed.handles.source
        return source.only(sorted(cuts)).through(_source_scanner(work, cuts)).collect()

    def refresh(self) -> None:  # noqa: B027  (most have nothing to do)
        """Ask anew where shares are: Spark may have kept that longer than their blocks."""

    def after(self, has_lost: bool, tokens: Sequence[str]) -> Storage:
        """Storage for the next round, after one that missed shares, or found blocks of these tokens."""
        return self

    def let_go(self) -> None:  # noqa: B027
        """Drop what only this storage has."""


class LocalFiles(Storage):
    """Files that the workers of an executor map. A task that Spark runs elsewhere finds its share missing.

    Where that happens again and again, all is packed anew; where that does not help, the files do not last.
    """

    name = "local files"

    def __init__(self, shares: Shares) -> None:
        super().__init__(shares)
        self._handles = shares.handles()
        self._losses, self._is_renewed = 0, False

    def partials(self, work: Parcel, known: frozenset[int] = frozenset()) -> Pairs:
        """See `Storage`."""
        return self._handles.through(_file_scanner(work, known))

    def refresh(self) -> None:
        """See `Storage`."""
        self._handles = self._shares.handles()

    def after(self, has_lost: bool, tokens: Sequence[str]) -> Storage:
        """See `Storage`."""
        self._losses = self._losses + 1 if has_lost else 0
        if self._losses < PATIENCE:
            return self
        if self._is_renewed:
            return CachedBlocks(self._shares, f"files were missing in {PATIENCE} rounds in a row, twice")
        self._losses, self._is_renewed = 0, True
        self._shares.packed.handles.renew()
        self.refresh()
        return self


class CachedBlocks(Storage):
    """Blocks in Spark's own cache. Workers are sent them in every round; Spark packs again what it has lost.

    Where it does that again and again, they are fetched into this process, if they fit.
    """

    name = "cached blocks"

    def __init__(self, shares: Shares, reason: str) -> None:
        super().__init__(shares, reason)
        self._kept: Kept = shares.packed.handles.instead(_carrier(shares.cuts()))
        self._tokens: frozenset[str] = frozenset()
        self._losses = 0

    def partials(self, work: Parcel, known: frozenset[int] = frozenset()) -> Pairs:
        """See `Storage`."""
        return self._kept.cached.through(_block_scanner(work))

    def after(self, has_lost: bool, tokens: Sequence[str]) -> Storage:
        """See `Storage`."""
        before, self._tokens = self._tokens, frozenset(tokens)
        self._losses = self._losses + 1 if 2 * len(before - self._tokens) > len(before) else 0
        if self._losses < PATIENCE:
            return self
        self._losses = 0
        packed = self._shares.packed
        if packed.num_bytes > packed.executors.limits.collectable:
            return self
        blocks = self._kept.cached.collect()
        self.let_go()
        reason = f"Spark lost most of its cached blocks in {PATIENCE} rounds in a row"
        return InThisProcess(self._shares, reason, blocks)

    def let_go(self) -> None:
        """See `Storage`."""
        self._kept.let_go()


class InThisProcess(Storage):
    """Blocks in the memory of this process.

    Parameters
    ----------
    shares, reason
        See `Storage`.
    blocks : list of Pair
        What `CachedBlocks` had.
    """

    name = "memory of this process"

    def __init__(self, shares: Shares, reason: str, blocks: list[Pair]) -> None:
        super().__init__(shares, reason)
        self._blocks = blocks

    def partials(self, work: Parcel, known: frozenset[int] = frozenset()) -> Pairs:
        """See `Storage`."""
        return LocalPairs(self._blocks).through(_block_scanner(work))

    def let_go(self) -> None:
        """See `Storage`."""
        self._blocks = []


class PackedAnew(Storage):
    """Nothing is kept: the rows are packed in every round."""

    name = "nothing: rows are packed in every round"

    def partials(self, work: Parcel, known: frozenset[int] = frozenset()) -> Pairs:
        """See `Storage`."""
        return self._shares.packed.handles.source.through(_source_scanner(work, self._shares.cuts()))


def first_storage(shares: Shares) -> Storage:
    """Local files, if Spark keeps what tells where they are."""
    refusal = shares.packed.handles.refusal
    return PackedAnew(shares, refusal) if refusal else LocalFiles(shares)


def _file_scanner(parcel: Parcel, known: frozenset[int]) -> OnPairs:
    """Function for the cached handles of shares, of which those that are known are left out. Runs on executors."""

    def scan(pairs: Iterable[Pair]) -> Iterator[Pair]:
        work = _work(parcel)
        for number, handle, _ in read_handles(pairs):
            if number in known:
                continue
            try:
                block = open_block(handle, work.first_rows.get(number, 0))
            except FileNotFoundError:
                yield number, work.nothing(number)
            else:
                yield number, work.scan(block, handle.fingerprint)

    return scan


def _source_scanner(parcel: Parcel, cuts: Cuts) -> OnPairs:
    """The same for freshly packed partitions, whose blocks serve this one scan. Runs on executors."""

    def scan(pairs: Iterable[Pair]) -> Iterator[Pair]:
        work = _work(parcel)
        for index, handle, _ in read_handles(pairs):
            try:
                for number, part in slices_of(index, handle, cuts):
                    yield number, work.scan(block_of(part, work.first_rows[number]), part.fingerprint)
            finally:
                remove_block(handle)

    return scan


def _carrier(cuts: Cuts) -> OnPairs:
    """Function for freshly packed partitions: of each share the fingerprint, the block itself, and a token of it.

    Runs on executors. A block that is packed again has another token.
    """

    def carry(pairs: Iterable[Pair]) -> Iterator[Pair]:
        for index, handle, _ in read_handles(pairs):
            try:
                for number, part in slices_of(index, handle, cuts):
                    yield number, (part.fingerprint, map_block(part), uuid.uuid4().hex)
            finally:
                remove_block(handle)

    return carry


def _block_scanner(parcel: Parcel) -> OnPairs:
    """Function for what a carrier has made. Runs on executors."""

    def scan(pairs: Iterable[Pair]) -> Iterator[Pair]:
        work = _work(parcel)
        for number, (fingerprint, block, token) in pairs:
            partial = work.scan(replace(block, first_row=work.first_rows.get(number, 0)), fingerprint)
            yield number, replace(partial, tokens=(token,))

    return scan


def _work(parcel: Parcel) -> Work:
    work: Work = pickle.loads(parcel.value)
    return work
