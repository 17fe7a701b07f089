"""The rows come together whatever the partitions and the storage."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.wide import WideFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.questions.rows import RowsKernel, collected, squared_lengths
from tests.support.blocks import as_csr, as_float32, csr, random_block, split


def as_wide(block: Block) -> Block:
    """The same rows, with only the columns that store anything."""
    dense = block.features.dense()
    columns = np.flatnonzero(dense.any(axis=0)).astype(np.int32)
    return replace(block, features=WideFeatures(csr(dense[:, columns]), columns, dense.shape[1]))


@pytest.mark.parametrize("stored", [lambda block: block, as_csr, as_wide, as_float32])
@pytest.mark.parametrize("stops", [[], [1, 17], [20, 20, 59], [0, 30]])
@pytest.mark.parametrize("held_out", [-1, 1])
@pytest.mark.parametrize("offset", [False, True])
def test_rows_of_any_partitions_are_collected_in_order(stored, stops, held_out, offset):
    whole = random_block(LogisticLoss(), offset=offset)
    parts = [
        RowsKernel(whole.rows, whole.features.num_features, held_out)(stored(part)) for part in split(whole, stops)
    ]
    found = collected(reduce(add, parts).dense())
    used = (whole.weight > 0.0) & (whole.fold != held_out)
    np.testing.assert_allclose(found.features.dense(), whole.features.dense()[used], rtol=1e-7)
    np.testing.assert_array_equal(found.label, whole.label[used])
    np.testing.assert_array_equal(found.weight, whole.weight[used])
    np.testing.assert_array_equal(found.offset, whole.offset[used] if offset else np.zeros(used.sum()))


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse deviation of each column, as a fit has them; 0 for a constant column."""
    mean = values.mean(axis=0)
    deviation = (values - mean).std(axis=0)
    return mean, np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0.0)


@pytest.mark.parametrize("stored", [lambda block: block, as_csr, as_wide])
@pytest.mark.parametrize("distance", [0.0, 1e3, 1e6, 1e9, 1e12])
def test_squared_lengths_are_those_of_centred_rows_however_far_the_mean(stored, distance):
    block = random_block(LogisticLoss())
    values = block.features.dense().copy()
    values[:, 1] += distance
    values[:, 3] -= distance / 7
    block = stored(replace(block, features=DenseFeatures(values)))
    center, scale = moments(values)
    found = squared_lengths(block.features, center, scale)
    np.testing.assert_allclose(found, np.square((values - center) * scale).sum(axis=1), rtol=1e-8)


@pytest.mark.parametrize("stored", [lambda block: block, as_csr])
def test_squared_lengths_of_rows_at_the_mean_are_not_negative(stored):
    value = 0.1 + np.arange(1, 41)[:, None] * np.array([1.0, -300.0, 9000.0])
    for row in value:
        same = replace(random_block(LogisticLoss(), 4, 3), features=DenseFeatures(np.tile(row, (4, 1))))
        found = squared_lengths(stored(same).features, row, np.ones(3))
        assert (found >= 0.0).all()
        np.testing.assert_allclose(found, 0.0, atol=1e-7)


def test_squared_lengths_near_the_mean_are_expanded_to_the_same_bits():
    """What a fit returned before far columns were told apart, it returns now."""
    block = random_block(LogisticLoss())
    center, scale = moments(block.features.dense())
    square = np.square(scale)
    expanded = np.square(block.features.dense()) @ square - 2.0 * (block.features.dense() @ (center * square))
    np.testing.assert_array_equal(squared_lengths(block.features, center, scale), expanded + np.square(center) @ square)
