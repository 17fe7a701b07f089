"""Sums by group do not depend on how rows come in batches, nor on when a task gives its sums away; without Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sparkgd.engine import grouped

RNG = np.random.default_rng(5)
FEATURES, GROUPS = RNG.normal(size=(200, 3)), RNG.integers(0, 17, size=200)
SUMS = np.array([FEATURES[group == GROUPS].sum(axis=0) for group in range(17)])


class Features:
    """The vectors are the rows' features."""

    size = 3

    def __call__(self, block, groups, count):
        return grouped.sums_by_group(block.features.dense(), groups, count), np.bincount(groups, minlength=count)


def batches(ids, rows):
    whole = pa.RecordBatch.from_pydict({"features": FEATURES.tolist(), "label": np.zeros(200), grouped.GROUP: ids})
    return [whole.slice(start, rows) for start in range(0, 200, rows)]


def spread_of(partial, rows):
    """What the second task makes of sums that are sorted by group and come ``rows`` at a time."""
    table = pa.Table.from_batches(partial).sort_by(grouped.GROUP)
    keys = table[grouped.GROUP].to_pylist()
    begins = [i == 0 or key != keys[i - 1] for i, key in enumerate(keys)]
    known = [key is not None for key in keys]
    table = pa.table({"begins": begins, "known": known, "rows": table["rows"], "sums": table["sums"]})
    (found,) = grouped._spreader(3)(table.combine_chunks().to_batches(max_chunksize=rows))
    return (
        np.frombuffer(found["spread"][0].as_py()).reshape(3, 3),
        found["groups"][0].as_py(),
        found["without"][0].as_py(),
    )


@pytest.mark.parametrize("held", [0, 200, 1 << 20])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_the_spread_is_that_of_whole_groups(monkeypatch, held, rows):
    monkeypatch.setattr(grouped, "HELD_BYTES", held)
    partial = list(grouped._summer(Features())(batches([f"g{group}" for group in GROUPS], rows)))
    assert len(partial) == 1 or held < 1 << 20
    spread, groups, without = spread_of(partial, rows)
    np.testing.assert_allclose(spread, SUMS.T @ SUMS, rtol=1e-10)
    assert (groups, without) == (17, 0)


def test_rows_without_a_group_are_counted():
    ids = [None if group == 3 else int(group) for group in GROUPS]
    partial = list(grouped._summer(Features())(batches(ids, 30)))
    _, groups, without = spread_of(partial, 4)
    assert (groups, without) == (16, int(np.count_nonzero(GROUPS == 3)))
