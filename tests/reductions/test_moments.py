"""A few rows with the moments of many: whatever least squares ask of the many, the few answer alike."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.data.blockfile import read_statistics
from sparkgd.data.columns import RowBatch
from sparkgd.data.statistics import Group, statistics_of
from sparkgd.data.writer import pack
from sparkgd.kernels import Block, Kernel
from sparkgd.kernels.features import DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import SquaredLoss
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.hessian import HessianKernel
from sparkgd.reductions.moments import Moments, MomentsWithin, sigma_bytes
from tests.support.blocks import assert_close_statistics

ROWS, COLUMNS = 700, 5
LAYOUT = CoefLayout(COLUMNS)
CASES = ["plain", "weights", "offset", "folds", "all", "collinear", "constant", "few rows", "far from zero"]


def rows_for(case: str) -> Block:
    random = np.random.default_rng(4)
    rows = 3 if case == "few rows" else ROWS
    features = random.standard_normal((rows, COLUMNS)) * 10.0 ** np.arange(-2, 3)
    if case == "collinear":
        features[:, 1] = features[:, 0] + features[:, 2]
    if case == "constant":
        features[:, 3] = 7.0
    if case == "far from zero":
        features += 1e4 * 10.0 ** np.arange(-2, 3)
    label = features[:, 0] + random.standard_normal(rows)
    every = case == "all"
    return Block(
        DenseFeatures(features),
        label,
        random.choice([0.0, 0.5, 3.0], rows) if every or case == "weights" else np.ones(rows),
        random.standard_normal(rows) if every or case == "offset" else None,
        random.integers(0, 2, rows).astype(np.uint8) if every or case == "folds" else None,
    )


def moments_of(block: Block, batch: int = 100) -> Moments:
    moments = Moments()
    for start in range(0, block.rows, batch):
        moments.add(block.take(np.arange(start, min(start + batch, block.rows))))
    return moments


def kernels() -> list[Kernel]:
    random = np.random.default_rng(9)
    points = random.standard_normal((3, COLUMNS + 1)) / LAYOUT.pack(10.0 ** np.arange(-2, 3)[None, :], np.ones(1))
    held_out = np.array([-1, 0, 1], dtype=np.int16)
    return [
        GradientKernel(SquaredLoss(), LAYOUT, points),
        GradientKernel(SquaredLoss(), LAYOUT, points, held_out),
        HessianKernel(SquaredLoss(), LAYOUT, points[0], 1),
    ]


@pytest.mark.parametrize("case", CASES)
def test_sums_of_a_squared_loss_are_those_of_all_rows(case):
    block = rows_for(case)
    condensed = moments_of(block).block()
    assert condensed.rows <= 4 * (COLUMNS + 2)
    for kernel in kernels():
        for name, expected in vars(kernel(block)).items():
            if isinstance(expected, np.ndarray):
                found = getattr(kernel(condensed), name)
                scale = np.abs(expected).max()
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * scale, err_msg=name)


def test_values_that_are_not_finite_leave_no_moments():
    block = rows_for("plain")
    features = block.features.dense().copy()
    features[3, 2] = np.nan
    assert moments_of(Block(DenseFeatures(features), block.label, block.weight)).block().rows == 0


def test_no_weight_at_all_leaves_no_moments():
    block = rows_for("plain")
    assert moments_of(Block(block.features, block.label, np.zeros(block.rows))).block().rows == 0


def batch_of(block: Block, nulls: int = 0) -> RowBatch:
    values = block.features.dense()
    counts = np.full(block.rows, values.shape[1], dtype=np.int64)
    none = np.zeros(0, dtype=np.int32)
    return RowBatch(
        values.ravel(), none, counts, np.zeros_like(counts), counts, block.label, block.weight, None, None,
        {"label": nulls},
    )  # fmt: skip


def test_packed_rows_are_condensed_where_their_moments_are_small(tmp_path):
    block = rows_for("plain")
    size = sigma_bytes(COLUMNS)
    condensed = pack([batch_of(block, nulls=2)], tmp_path, "float32", reduce=MomentsWithin(size))
    assert (condensed.source_rows, condensed.source_stored) == (ROWS, ROWS * COLUMNS)
    assert condensed.num_bytes <= size
    assert (condensed.rows, condensed.dtype, condensed.nulls) == (2 * (COLUMNS + 1), "float64", {"label": 2})
    assert_close_statistics(read_statistics(condensed)[Group()], statistics_of(block)[Group()])
    whole = pack([batch_of(block)], tmp_path, "float64", reduce=MomentsWithin(size - 1))
    assert (whole.rows, whole.source_rows, whole.condensed) == (ROWS, ROWS, None)


def test_the_moments_of_all_folds_fit_in_the_promised_size(tmp_path):
    block = moments_of(rows_for("all")).block()
    arrays = [block.features.dense(), block.label, block.weight, block.offset, block.fold]
    assert sum(array.nbytes for array in arrays) <= sigma_bytes(COLUMNS)
