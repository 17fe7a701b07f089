"""`Sums` form a commutative monoid, and the layout is the one packing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from sparkgd.kernels import Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import ARRAYS, Entries, joined


def some_sums(seed: int) -> Sums:
    rng = np.random.default_rng(seed)
    # Small integers add exactly, so associativity can be tested exactly.
    values = {name: rng.integers(-9, 9, (2, 3)).astype(float) for name in ARRAYS}
    values["move" if seed % 2 else "product"] = None
    return Sums(**values)


def assert_same(left: Sums, right: Sums) -> None:
    for name in ARRAYS:
        mine, other = getattr(left, name), getattr(right, name)
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, other)


def test_addition_is_associative_and_commutative():
    a, b, c = (some_sums(seed) for seed in range(3))
    assert_same((a + b) + c, a + (b + c))
    assert_same(a + b, b + a)


def test_the_empty_sums_are_neutral_on_either_side():
    for seed in range(2):
        assert_same(Sums() + some_sums(seed), some_sums(seed))
        assert_same(some_sums(seed) + Sums(), some_sums(seed))
    assert_same(Sums() + Sums(), Sums())


def test_sums_travel():
    assert_same(pickle.loads(pickle.dumps(some_sums(1))), some_sums(1))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("leading", [(), (4,), (2, 5)])
def test_layout_packs_and_unpacks(outputs, fit_intercept, leading):
    layout = CoefLayout(6, outputs, fit_intercept)
    assert layout.size == outputs * (7 if fit_intercept else 6)
    coef = np.random.default_rng(0).normal(size=(*leading, layout.size))
    weights, intercepts = layout.weights(coef), layout.intercepts(coef)
    assert weights.shape == (*leading, outputs, 6)
    assert intercepts.shape == (*leading, outputs)
    np.testing.assert_array_equal(layout.pack(weights, intercepts), coef)
    if not fit_intercept:
        assert not intercepts.any()
        np.testing.assert_array_equal(layout.pack(weights, np.ones_like(intercepts)), coef)


def test_layout_order_is_weights_by_output_then_intercepts():
    layout = CoefLayout(2, 2)
    np.testing.assert_array_equal(layout.weights(np.arange(6.0)), [[0, 1], [2, 3]])
    np.testing.assert_array_equal(layout.intercepts(np.arange(6.0)), [4, 5])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("named", ["neither", "left", "both", "far apart"])
def test_ranges_of_sums_add_up_to_ranges_of_the_sum(count, named):
    rng, size = np.random.default_rng(count), 20
    numbers = [np.arange(3, 6, dtype=np.int32), np.array([0, 19], dtype=np.int32)]
    if named != "far apart":
        numbers[1] = np.arange(4, 7, dtype=np.int32)

    def some(entries: Entries | None) -> Sums:
        width = size if entries is None else len(entries.numbers)
        gradient = rng.integers(-9, 9, (2, width)).astype(float)
        return Sums(value=rng.integers(0, 9, 2).astype(float), gradient=gradient, hessian=np.eye(4), entries=entries)

    left = some(None if named == "neither" else Entries(numbers[0], size))
    right = some(Entries(numbers[1], size) if named in ("both", "far apart") else None)
    ranges = [mine + other for mine, other in zip(left.cut(count), right.cut(count), strict=True)]
    assert len(ranges) == count
    assert max(part.gradient.shape[-1] for part in ranges) <= -(-size // count)
    assert_same(joined(ranges), (left + right).dense())
    assert joined(Sums().cut(count)).gradient is None
