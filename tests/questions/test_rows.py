"""The rows come together whatever the partitions and the storage."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest

from sparkgd.kernels import Block
from sparkgd.kernels.wide import WideFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.questions.rows import RowsKernel, collected
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
