"""Arrow batches become rows: dense, sparse, mixed, with nulls, and however Arrow has sliced them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from sparkgd.data.columns import read_batch

ROWS = [
    ("dense", [1.0, 0.0, 3.0, 0.0]),
    ("sparse", {1: 5.0, 3: -2.0}),
    ("sparse", {}),
    ("dense", [0.0, 0.0, 0.0, 9.0]),
    ("sparse", {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}),
]
MATRIX = np.array([[1, 0, 3, 0], [0, 5, 0, -2], [0, 0, 0, 0], [0, 0, 0, 9], [1, 2, 3, 4]], dtype=float)


def vector_batch(rows: list, **more: list) -> pa.RecordBatch:
    """A batch as `sparkgd.ml.columns` selects it from a VectorUDT column; a row of None is a null vector."""
    values, indices = [], []
    for row in rows:
        kind, content = row if row is not None else ("dense", None)
        sparse = kind == "sparse"
        values.append(list(content.values()) if sparse else content)
        indices.append([*content, 4] if sparse else [])
    columns = {
        "features": pa.array(values, pa.list_(pa.float64())),
        "indices": pa.array(indices, pa.list_(pa.int32())),
        "label": pa.array(more.pop("label", [float(i) for i in range(len(rows))]), pa.float64()),
    }
    return pa.RecordBatch.from_pydict(columns | {name: pa.array(v, pa.float64()) for name, v in more.items()})


def array_batch(rows: list, **more: list) -> pa.RecordBatch:
    label = more.pop("label", [float(i) for i in range(len(rows))])
    columns = {"features": pa.array(rows, pa.list_(pa.float64())), "label": pa.array(label, pa.float64())}
    return pa.RecordBatch.from_pydict(columns | {name: pa.array(v, pa.float64()) for name, v in more.items()})


def test_mixed_vectors():
    batch = read_batch(vector_batch(ROWS))
    np.testing.assert_array_equal(batch.dense(), MATRIX)
    np.testing.assert_array_equal(batch.sizes, [4] * 5)
    np.testing.assert_array_equal(batch.dense_rows, [True, False, False, True, False])
    rebuilt = np.zeros_like(MATRIX)
    rebuilt[np.repeat(np.arange(5), batch.value_counts), batch.column_indices()] = batch.values
    np.testing.assert_array_equal(rebuilt, MATRIX)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_vectors_of_one_kind(kind):
    chosen = [i for i, row in enumerate(ROWS) if row[0] == kind]
    batch = read_batch(vector_batch([ROWS[i] for i in chosen]))
    np.testing.assert_array_equal(batch.dense(), MATRIX[chosen])


def test_arrays():
    batch = read_batch(array_batch(MATRIX.tolist()))
    np.testing.assert_array_equal(batch.dense(), MATRIX)
    np.testing.assert_array_equal(batch.weight, np.ones(5))
    assert batch.offset is None
    assert batch.fold is None


@pytest.mark.parametrize(("start", "length"), [(0, 5), (1, 3), (2, 1), (4, 1), (3, 0)])
def test_sliced_batches(start, length):
    more = {"weight": [1.0, 2.0, 3.0, 4.0, 5.0], "offset": [0.1, 0.2, 0.3, 0.4, 0.5], "fold": [0.0, 1.0, 0.0, 1.0, 1.0]}
    batch = read_batch(vector_batch(ROWS, **more).slice(start, length))
    chosen = slice(start, start + length)
    assert batch.rows == length
    if length:
        np.testing.assert_array_equal(batch.dense(), MATRIX[chosen])
    np.testing.assert_array_equal(batch.label, np.arange(5.0)[chosen])
    np.testing.assert_array_equal(batch.weight, more["weight"][chosen])
    np.testing.assert_array_equal(batch.offset, more["offset"][chosen])
    np.testing.assert_array_equal(batch.fold, more["fold"][chosen])


def test_rows_with_nulls_are_dropped_and_counted():
    rows = [ROWS[0], None, ROWS[1], ROWS[2], ROWS[3]]
    batch = read_batch(
        vector_batch(rows, label=[0.0, 1.0, None, 3.0, 4.0], weight=[1.0, 1.0, None, 2.0, None], offset=[0.0] * 5)
    )
    assert batch.nulls == {"features": 1, "label": 1, "weight": 2}
    np.testing.assert_array_equal(batch.dense(), MATRIX[[0, 2]])
    np.testing.assert_array_equal(batch.label, [0.0, 3.0])


def test_nulls_in_a_sliced_batch():
    batch = read_batch(array_batch([[1.0], None, [3.0], None, [5.0]]).slice(1, 3))
    assert batch.nulls == {"features": 2}
    np.testing.assert_array_equal(batch.dense(), [[3.0]])


def test_a_null_inside_an_array_is_nan():
    batch = read_batch(array_batch([[1.0, None], [3.0, 4.0]]))
    assert batch.nulls == {}
    np.testing.assert_array_equal(batch.dense(), [[1.0, np.nan], [3.0, 4.0]])


def test_ragged_rows_keep_their_sizes():
    assert read_batch(array_batch([[1.0, 2.0], [3.0], []])).sizes.tolist() == [2, 1, 0]


def test_large_lists():
    batch = array_batch(MATRIX.tolist())
    large = batch.column("features").cast(pa.large_list(pa.float64()))
    batch = pa.RecordBatch.from_arrays([large, batch.column("label")], ["features", "label"])
    np.testing.assert_array_equal(read_batch(batch.slice(2)).dense(), MATRIX[2:])
