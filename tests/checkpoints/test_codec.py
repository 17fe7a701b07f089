"""Laws of the codec: whatever it takes comes back with the same types and bits; nothing else is ever loaded."""

from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import pytest

from sparkgd.checkpoints.codec import decode, encode
from sparkgd.exceptions import CheckpointError, CheckpointFormatError
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.solvers.base import Ending, State, Status
from tests.support.bits import bits


def there_and_back(value):
    return decode(*encode(value))


def types_in(value):
    if isinstance(value, tuple | list):
        return type(value), [types_in(part) for part in value]
    if isinstance(value, dict):
        return dict, [(types_in(key), types_in(part)) for key, part in value.items()]
    return type(value), getattr(value, "dtype", None), getattr(value, "shape", None)


ODD_NAN = struct.unpack(">d", bytes.fromhex("fff8000000001234"))[0]

VALUES = [
    None, True, False, 0, -(2**70), 1, 1.0, -0.0, 0.1, 1e22, 5e-324, float("inf"), float("-inf"), float("nan"), ODD_NAN,
    "", "Ünïcode \udcff\n\"", (), (1, 1.0, (True, None)), [], [1, [2.5]], {}, {("label", "NaN"): 3, 2: [1]},
    np.float64(1.0), np.float64(-0.0), np.float32(0.1), np.int64(3), np.bool_(True), np.float64("nan"),
    np.array(3.5), np.zeros((0, 3)), np.zeros(0, np.intp), np.array([0.0, -0.0, np.nan, np.inf, -np.inf]),
    np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array([True, False]),
    np.arange(10.0)[::3], np.array([1, 2], np.uint8), np.array(["a", "bc"]), np.arange(3, dtype=">f8"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:40])
def test_a_value_comes_back_with_its_type_and_bits(value):
    found = there_and_back(value)
    assert bits(found) == bits(value)
    assert types_in(found) == types_in(value)


def test_a_random_nest_of_values_comes_back():
    random = np.random.default_rng(0)

    def nest(depth):
        if depth == 0 or random.random() < 0.3:
            return VALUES[random.integers(len(VALUES))]
        parts = [nest(depth - 1) for _ in range(random.integers(4))]
        return [tuple(parts), parts, dict(enumerate(parts))][random.integers(3)]

    for _ in range(300):
        value = nest(4)
        found = there_and_back(value)
        assert types_in(found) == types_in(value)
        assert encode(found) == encode(value)


def test_states_blocks_and_enums_come_back():
    state = State(np.arange(3.0), np.nan, np.zeros(3), 2, 0.5, np.inf, Ending(Status.STALLED, "why", True))
    block = Block(DenseFeatures(np.ones((2, 2))), np.zeros(2), np.ones(2), None, np.zeros(2, np.uint8), 7)
    found_state, found_block = there_and_back((state, block))
    assert bits(found_state) == bits(state)
    assert found_state.ending.status is Status.STALLED
    assert bits(found_block) == bits(block)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_axes_in_memory_stays(order):
    found = there_and_back(np.asarray(np.arange(6.0).reshape(2, 3), order=order))
    assert found.flags[f"{order}_CONTIGUOUS"]
    assert found.flags.aligned


def test_an_array_that_occurs_twice_is_written_once_and_shared_again():
    array = np.arange(1000.0)
    document, arrays = encode((array, [array], array.copy()))
    assert len(arrays) < 2.2 * array.nbytes
    first, (second,), copy = decode(document, arrays)
    assert first is second
    assert copy is not first


NO_STATE = {
    "function": lambda: 0,
    "object": object(),
    "array of objects": np.array([object()]),
    "set": {1, 2},
    "bytes": b"bytes",
    "class": LogisticLoss,
    "what equals numbers": pytest.approx(1),
    "array of dicts": np.array([{}]),
}


@pytest.mark.parametrize("value", NO_STATE.values(), ids=NO_STATE)
def test_what_is_no_state_is_refused(value):
    with pytest.raises(CheckpointError):
        encode((1, value))


def document(value, *classes):
    return json.dumps({"classes": classes, "value": value}).encode()


class Trap:
    """Says if it was ever made from a pickle."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


def pickled_array():
    content = pickle.dumps(Trap())
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        (b"", b""),
        (b"[]", b""),
        (b"{}", b""),
        (b"\xff", b""),
        (b"[" * 100_000, b""),
        (b'{"classes": [], "value": NaN}', b""),
        (document({"float": "zz"}), b""),
        (document({"float": "00"}), b""),
        (document({"unknown": 1}), b""),
        (document({"list": [], "float": ""}), b""),
        (document({"array": 0}), b""),
        (document({"array": 0}), pickled_array()),
        (document({"array": 0}), b"\x93NUMPY"),
        (document({"dict": [[{"list": []}, 1]]}), b""),
        (document({"object": [0]}, ["os", "system"]), b""),
        (document({"object": [0, "true"]}, ["subprocess", "Popen"]), b""),
        (document({"object": [0]}, ["sparkgd.engine.ingest", "pickle.loads"]), b""),
        (document({"object": [0]}, ["sparkgd.losses.custom", "importlib.import_module"]), b""),
        (document({"object": [0]}, ["sparkgd.losses.custom", "load_loss"]), b""),
        (document({"object": [0]}, ["sparkgd.solvers.base", "Solver"]), b""),
        (document({"object": [0]}, ["sparkgd.solvers.lbfgs", "GradientQuestion", "points", "sample"]), b""),
        (document({"object": [0]}, ["sparkgd..os", "system"]), b""),
        (document({"object": [0]}, ["sparkgd.no_such_module", "State"]), b""),
        (document({"object": [0]}, ["sparkgd.solvers.base", "Ending", "status", "reason"]), b""),
        (document({"object": [0, 1]}, ["sparkgd.solvers.base", "Ending", "status", "reason", "is_halt"]), b""),
        (document({"enum": [0, "NO_SUCH"]}, ["sparkgd.solvers.base", "Status"]), b""),
        (document({"enum": [0, "mro"]}, ["sparkgd.solvers.base", "Status"]), b""),
        (document({"object": [0]}, ["sparkgd.solvers.base", "Status"]), b""),
    ],
)
def test_what_encode_has_not_made_is_refused(text, arrays):
    with pytest.raises(CheckpointFormatError):
        decode(text, arrays)
