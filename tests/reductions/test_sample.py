"""A sample stands for all rows; rare columns are in it."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.data.statistics import merge, statistics_of
from sparkgd.kernels.block import Block
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.wide import WideFeatures
from sparkgd.reductions.sample import LARGEST, sample_of
from tests.support.blocks import csr

ROWS = 4000
RARE_ROWS = np.arange(17, ROWS, 400)


def block_of(values: np.ndarray, weight: np.ndarray | None = None) -> Block:
    rows = len(values)
    return Block(DenseFeatures(values), np.arange(rows) % 2.0, np.ones(rows) if weight is None else weight)


def even() -> Block:
    return block_of(np.random.default_rng(1).normal(size=(ROWS, 5)))


def with_rare_column(sparse: bool) -> Block:
    """Column 1 is not zero in ten rows."""
    values = np.zeros((ROWS, 3))
    values[:, 0] = np.random.default_rng(1).normal(size=ROWS)
    values[::3, 2] = 1.0
    values[RARE_ROWS, 1] = 1.0
    block = block_of(values)
    if not sparse:
        return block
    stored = values != 0.0
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))])
    features = CsrFeatures(values[stored], np.nonzero(stored)[1].astype(np.int32), indptr.astype(np.int64), 3)
    return Block(features, block.label, block.weight)


def test_rows_alike_are_taken_evenly_and_never_more_than_a_quarter():
    block = even()
    sample = sample_of(block, 0.01)
    assert sample.rows == 40
    place = [int(np.flatnonzero((block.features.dense() == row).all(axis=1))[0]) for row in sample.features.dense()]
    np.testing.assert_allclose(place, np.arange(50, ROWS, 100), atol=1)
    np.testing.assert_allclose(sample.weight, 100.0)
    assert sample_of(block, 1.0).rows == ROWS * LARGEST


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_rows_of_a_rare_column_are_all_taken(sparse):
    block = with_rare_column(sparse)
    sample = sample_of(block, 0.05)
    taken = merge(list(statistics_of(sample).values()))
    assert np.count_nonzero(sample.features.dense()[:, 1]) == len(RARE_ROWS)
    assert taken.support[1] == pytest.approx(len(RARE_ROWS), rel=0.2), "their weights are their own"
    assert sample.weight.sum() == pytest.approx(ROWS)
    assert sample.rows <= 0.05 * ROWS + 1


def test_sums_over_the_sample_are_nearly_those_over_all_rows():
    block = with_rare_column(sparse=True)
    sample = sample_of(block, 0.2)
    for values in (block.features.dense(), np.square(block.features.dense())):
        rows = sample_of(Block(DenseFeatures(values), block.label, block.weight), 0.2)
        np.testing.assert_allclose(rows.weight @ rows.features.dense(), values.sum(axis=0), rtol=0.2, atol=60.0)
    assert sample.weight @ sample.label == pytest.approx(ROWS / 2, rel=0.1)


def test_chances_follow_the_weights():
    weight = np.where(np.arange(ROWS) < ROWS // 2, 0.0, np.random.default_rng(2).choice([1.0, 3.0], ROWS))
    block = block_of(even().features.dense(), weight)
    sample = sample_of(block, 0.1)
    assert sample.weight.min() > 0.0, "rows without weight tell nothing"
    np.testing.assert_allclose(sample.weight, weight.sum() / sample.rows, rtol=1e-9)


def test_statistics_may_be_given():
    block = with_rare_column(sparse=True)
    given, taken = sample_of(block, 0.1, statistics_of(block)), sample_of(block, 0.1)
    np.testing.assert_array_equal(given.weight, taken.weight)


def test_there_is_always_a_row_unless_none_has_weight():
    assert sample_of(even().take(np.array([7])), 0.01).rows == 1
    assert sample_of(even().take(np.arange(0)), 0.01) is None
    assert sample_of(block_of(np.ones((5, 2)), np.zeros(5)), 0.5) is None


def test_very_many_columns_have_no_sample():
    inside = with_rare_column(sparse=True).features
    wide = WideFeatures(inside, np.array([1, 5, 9], dtype=np.int32), 100)
    assert sample_of(Block(wide, np.zeros(ROWS), np.ones(ROWS)), 0.1) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_values_that_a_fit_will_refuse_do_no_harm(bad):
    block = with_rare_column(sparse=False)
    block.features.values[3, 0] = bad
    with np.errstate(over="ignore", invalid="ignore"):
        assert sample_of(block, 0.1).rows > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_weights_that_a_fit_will_refuse_do_no_harm(bad):
    weight = np.ones(ROWS)
    weight[5] = bad
    for values in (even().features.dense(), with_rare_column(sparse=False).features.dense()):
        sample = sample_of(block_of(values, weight), 0.1)
        assert 0 < sample.rows <= 0.1 * ROWS + 1
        assert np.isfinite(sample.weight).all()


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e9, 1e12])
def test_a_column_far_from_zero_spoils_no_chance(sparse, offset):
    """Time stamps, say: expanded squares of them are rounding, of either sign and larger than all else."""
    block = with_rare_column(sparse)
    values = np.column_stack([block.features.dense(), offset + np.random.default_rng(4).normal(size=ROWS)])
    block = Block(csr(values) if sparse else DenseFeatures(values), block.label, block.weight)
    sample = sample_of(block, 0.05)
    assert (sample.weight > 0.0).all()
    assert sample.weight.sum() == pytest.approx(ROWS)
    assert sample.rows <= 0.05 * ROWS + 1
    assert np.count_nonzero(sample.features.dense()[:, 1]) == len(RARE_ROWS)
