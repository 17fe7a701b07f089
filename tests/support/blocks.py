"""Random blocks for tests without Spark: the same rows dense and CSR, cut into partitions, in an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sparkgd.data.statistics import Statistics
from sparkgd.kernels import Block
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.losses import Loss

Array = npt.NDArray[np.float64]


def csr(matrix: Array | sparse.csr_array, dtype: str = "float64") -> CsrFeatures:
    """A matrix as CSR features."""
    m = sparse.csr_array(matrix)
    return CsrFeatures(m.data.astype(dtype), m.indices.astype(np.int32), m.indptr.astype(np.int64), m.shape[1])


def labels_for(loss: Loss, rng: np.random.Generator, rows: int) -> Array:
    """Random labels that the loss accepts."""
    allowed = loss.label_range
    low = allowed.low if np.isfinite(allowed.low) else -3.0
    high = allowed.high if np.isfinite(allowed.high) else low + 6.0
    if allowed.integer:
        return rng.integers(int(low), int(high) + 1, rows).astype(np.float64)
    return low + (high - low) * rng.uniform(0.05, 0.95, rows)


def random_block(loss: Loss, rows: int = 60, columns: int = 5, seed: int = 0, offset: bool = False) -> Block:
    """A dense block with zeros, an empty row, a constant column, weights of 0, 1 and 2.5, and three folds."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.6)
    features[rows // 2] = 0.0
    features[:, -1] = 1.5
    return Block(
        DenseFeatures(features),
        labels_for(loss, rng, rows),
        rng.choice([0.0, 1.0, 2.5], rows),
        rng.normal(size=rows) if offset else None,
        rng.integers(0, 3, rows).astype(np.uint8),
    )


def as_csr(block: Block) -> Block:
    """The same rows as CSR."""
    return replace(block, features=csr(block.features.dense()))


def as_float32(block: Block) -> Block:
    """The same rows, stored as float32."""
    return replace(block, features=DenseFeatures(block.features.dense().astype(np.float32)))


def split(block: Block, stops: Sequence[int]) -> list[Block]:
    """The block cut into consecutive partitions that end at ``stops`` and at its last row."""
    edges = [0, *stops, block.rows]
    parts = [block.take(np.arange(a, b)) for a, b in pairwise(edges)]
    return [replace(part, first_row=first) for part, first in zip(parts, edges, strict=False)]


def assert_close_statistics(left: Statistics, right: Statistics) -> None:
    """Equal, but for rounding of what is summed."""
    by_label = ("label_mean", "label_squares", "net_label_mean", "net_label_squares")
    for name in ("weight", "weight_squares", "mean", "squares", "support", *by_label):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-12, atol=1e-12, err_msg=name)
    ranges = ("label_low", "label_high", "offset_low", "offset_high")
    for name in ("rows", *ranges, "label_integer", "class_weights", "problems", "bad_columns"):
        assert getattr(left, name) == getattr(right, name), name
