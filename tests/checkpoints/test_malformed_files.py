"""Malformed checkpoints, by the hundred: refused clearly, or passed over for an older one, or no harm at all.

A file whose bytes are others than those written is known by its checksum. One that is whole, but says what no fit has
said, comes from elsewhere: it must not show errors of whoever tries to understand it.
"""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkgd.checkpoints.file import Content, packed, unpacked
from sparkgd.exceptions import CheckpointError
from sparkgd.training.fit import plan_of
from sparkgd.training.loop import succeeded
from tests.support.bits import bits
from tests.support.checkpoints import Bench, DriverLostError, Mortal
from tests.support.malformed import inputs, junk
from tests.support.plan_cases import CASES

CASE = replace(CASES["plain"], solver="nesterov")
HEADER = ("library", "round", "seconds", "written", "data", "params")


@dataclass(frozen=True)
class Damage:
    """What happens to the newest checkpoint's file, or to both.

    Attributes
    ----------
    flips : list of (float, int)
        Bits, by their bytes' share of the length.
    length : float
        Share of the bytes that stay.
    more : bytes
        What is put behind them.
    header : list of (str, JSON)
        Entries that are made something else; the file is whole again afterwards.
    leaves : list of (float, JSON)
        Leaves of the document, by their share of its number of leaves, that are made something else, likewise.
    both : bool
    resume : str
    """

    flips: list[tuple[float, int]]
    length: float
    more: bytes
    header: list[tuple[str, Any]]
    leaves: list[tuple[float, Any]]
    both: bool
    resume: str

    @property
    def is_forged(self) -> bool:
        """Whether the checksum holds."""
        return not self.flips and self.length == 1.0 and not self.more


share = st.floats(0.0, 1.0, exclude_max=True)
values = st.one_of(junk.filter(lambda value: is_json(value)), st.sampled_from([0, 1, -1, {"array": 0}, {"array": 99}]))


def is_json(value: Any) -> bool:
    """Whether it can be written."""
    try:
        return bool(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return False


@st.composite
def damages(draw):
    """Of one kind each."""
    kind = draw(st.sampled_from(["flips", "length", "more", "header", "leaves", "leaves"]))
    return Damage(
        draw(st.lists(st.tuples(share, st.integers(0, 7)), min_size=1, max_size=3)) if kind == "flips" else [],
        draw(share) if kind == "length" else 1.0,
        draw(st.binary(min_size=1, max_size=9)) if kind == "more" else b"",
        draw(st.lists(st.tuples(st.sampled_from(HEADER), values), min_size=1, max_size=2)) if kind == "header" else [],
        draw(st.lists(st.tuples(share, values), min_size=1, max_size=2)) if kind == "leaves" else [],
        draw(st.booleans()),
        draw(st.sampled_from(["auto", "auto", "force", "never"])),
    )


def damaged(data: bytes, damage: Damage) -> bytes:
    """The bytes of a file, damaged."""
    content = unpacked(data)
    header = content.header | dict(damage.header)
    document: Any = json.loads(content.document)
    for place, value in damage.leaves:
        document = replaced(document, int(place * leaves(document)), value)
    data = packed(Content(header, json.dumps(document).encode(), content.arrays))
    found = bytearray(data[: int(damage.length * len(data))])
    for place, bit in damage.flips:
        found[int(place * len(found))] ^= 1 << bit
    return bytes(found) + damage.more


def leaves(node: Any) -> int:
    """How many there are in JSON."""
    if isinstance(node, dict | list):
        return sum(map(leaves, node.values() if isinstance(node, dict) else node)) or 1
    return 1


def replaced(node: Any, number: int, value: Any) -> Any:
    """JSON with another value for a leaf."""
    if not isinstance(node, dict | list) or not node:
        return value
    parts = dict(node) if isinstance(node, dict) else dict(enumerate(node))
    for key, part in parts.items():
        if number < leaves(part):
            parts[key] = replaced(part, number, value)
            break
        number -= leaves(part)
    return parts if isinstance(node, dict) else list(parts.values())


def fit(bench: Bench, resume: str = "auto", left: int = -1) -> Any:
    """The outcome of a fit, whose rows last for so many rounds."""
    data = CASE.data()
    data = replace(data, rows=Mortal(data.rows, left))
    return bench.train(data.rows, [plan_of(CASE.settings(), data)], resume)[0]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A directory with two checkpoints of a fit, and the coefs that it would have come to."""
    where = tmp_path_factory.mktemp("kept")
    with pytest.raises(DriverLostError):
        fit(Bench(where, interval=1), left=4)
    return where, bits(fit(Bench(tmp_path_factory.mktemp("whole"))).coef)


@inputs(500)
@given(damage=damages())
def test_a_malformed_checkpoint_is_refused_passed_over_or_harmless(kept, tmp_path_factory, damage):
    source, expected = kept
    where = source.parent / "damaged"
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(source, where)
    bench = Bench(where, interval=1)
    for path in bench.files()[0 if damage.both else 1 :]:
        path.write_bytes(damaged(path.read_bytes(), damage))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            outcome = fit(bench, damage.resume)
        except CheckpointError:
            return  # and nothing else
        found = succeeded(outcome)
    if not damage.leaves:
        assert bits(found.coef) == expected
