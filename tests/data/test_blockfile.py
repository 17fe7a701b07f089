"""Block files hold the rows that were packed, and nothing stays behind after a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sparkgd.data import blockfile, writer
from sparkgd.data.blockfile import (
    STATISTICS,
    BlockHandle,
    FileArray,
    block_of,
    make_directory,
    map_block,
    open_block,
    remove_block,
)
from sparkgd.data.columns import RowBatch, read_batch
from sparkgd.data.fingerprint import Fingerprint
from sparkgd.data.writer import pack
from sparkgd.kernels import Block, features
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.wide import WideFeatures
from sparkgd.losses import LogisticLoss
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.gram import GramKernel
from tests.support.blocks import as_csr, random_block

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(40, 6))
SPARSE = MATRIX * (RNG.random((40, 6)) < 0.2)
SPARSE[[0, 7, 39]] = 0.0
LABEL, WEIGHT, OFFSET = RNG.normal(size=40), RNG.random(40), RNG.normal(size=40)
FOLD = RNG.integers(0, 2, 40)


def fingerprints(block: Block) -> tuple[int, int]:
    found = Fingerprint()
    for chunk in block.chunks():
        found.add(chunk)
    return found.unordered, found.ordered


def size_of_arrays(handle: BlockHandle) -> int:
    return sum(file.stat().st_size for file in Path(handle.path).iterdir() if file.name != STATISTICS)


def batches(matrix: np.ndarray, size: int = 15, extras: bool = True, sparse: bool = False) -> Iterator[RowBatch]:
    for start in range(0, len(matrix), size):
        rows = slice(start, start + size)
        columns = {"label": LABEL[rows]}
        if extras:
            columns |= {"weight": WEIGHT[rows], "offset": OFFSET[rows], "fold": FOLD[rows].astype(float)}
        if sparse:
            stored = [np.flatnonzero(row) for row in matrix[rows]]
            columns["features"] = [row[index] for row, index in zip(matrix[rows], stored, strict=True)]
            columns["indices"] = pa.array([[*index, 6] for index in stored], pa.list_(pa.int32()))
        else:
            columns["features"] = list(matrix[rows])
        yield read_batch(pa.RecordBatch.from_pydict({name: pa.array(column) for name, column in columns.items()}))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("extras", [True, False], ids=["all columns", "label only"])
def test_packed_rows_come_back(tmp_path, sparse, dtype, extras):
    matrix = SPARSE if sparse else MATRIX
    handle = pack(batches(matrix, extras=extras, sparse=sparse), tmp_path, dtype)
    block = map_block(handle, first_row=5)
    assert isinstance(block.features, CsrFeatures if sparse else DenseFeatures)
    np.testing.assert_array_equal(block.features.dense(), matrix.astype(dtype).astype(float))
    np.testing.assert_array_equal(block.label, LABEL)
    np.testing.assert_array_equal(block.weight, WEIGHT if extras else np.ones(40))
    assert (block.offset is None) == (block.fold is None) == (not extras)
    if extras:
        np.testing.assert_array_equal(block.offset, OFFSET)
        np.testing.assert_array_equal(block.fold, FOLD)
    assert (handle.rows, handle.width, block.first_row) == (40, 6, 5)
    assert handle.num_bytes == size_of_arrays(handle)
    assert not block.features.values.flags.writeable


def test_dense_and_sparse_batches_mix(tmp_path):
    mixed = [next(batches(SPARSE, 20, sparse=True)), *list(batches(SPARSE, 20))[1:]]
    np.testing.assert_array_equal(map_block(pack(mixed, tmp_path, "float64")).features.dense(), SPARSE)
    mixed = [next(batches(MATRIX, 20)), *list(batches(MATRIX, 20, sparse=True))[1:]]
    np.testing.assert_array_equal(map_block(pack(mixed, tmp_path, "float64")).features.dense(), MATRIX)


def test_no_rows_at_all(tmp_path):
    assert pack([], tmp_path, "float64") is None
    assert pack(list(batches(MATRIX))[:0], tmp_path, "float64") is None
    assert list(tmp_path.iterdir()) == []


def test_a_batch_without_rows_is_skipped(tmp_path):
    empty = read_batch(pa.RecordBatch.from_pydict({"features": pa.array([], pa.list_(pa.float64())), "label": []}))
    handle = pack([empty, *batches(MATRIX, extras=False), empty], tmp_path, "float64")
    assert handle.rows == 40


def test_vectors_without_any_stored_value(tmp_path):
    handle = pack(batches(np.zeros((40, 6)), sparse=True), tmp_path, "float64")
    assert handle.stored == 0
    np.testing.assert_array_equal(map_block(handle).features.dense(), np.zeros((40, 6)))


def test_other_vector_lengths_are_reported(tmp_path):
    narrow = list(batches(MATRIX[:, :4], extras=False))
    handle = pack([*batches(MATRIX, extras=False), *narrow], tmp_path, "float64")
    assert handle.widths == (6, 4)
    both = read_batch(pa.RecordBatch.from_pydict({"features": pa.array([[1.0], [1.0, 2.0]]), "label": [0.0, 1.0]}))
    assert pack([both], tmp_path, "float64").widths == (1, 2)


def test_a_failing_source_leaves_nothing_behind(tmp_path):
    def failing() -> Iterator[RowBatch]:
        yield next(batches(MATRIX))
        raise RuntimeError("the user's function failed")

    with pytest.raises(RuntimeError, match="the user's function failed"):
        pack(failing(), tmp_path, "float64")
    assert list(tmp_path.iterdir()) == []


def test_directories_of_blocks_are_made_and_removed_beside_each_other(tmp_path):
    """The one that they share goes with the last of them, at whatever moment another one is begun."""
    handle = pack(batches(MATRIX), tmp_path / "other", "float64")

    def make_and_remove(thread):
        path = tmp_path / "fit" / str(thread)
        for _ in range(800):
            make_directory(path)
            remove_block(replace(handle, path=str(path)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make_and_remove, range(4)))
    assert not (tmp_path / "fit").exists()


def test_a_file_in_the_way_of_a_block_is_an_error(tmp_path):
    (tmp_path / "fit").write_text("")
    with pytest.raises(OSError, match="fit"):
        pack(batches(MATRIX), tmp_path / "fit", "float64")


def test_open_block_remembers_the_mapping_but_not_the_row_number(tmp_path):
    handle = pack(batches(MATRIX), tmp_path, "float64")
    first, second = open_block(handle, 0), open_block(handle, 1000)
    assert first.features is second.features
    assert (first.first_row, second.first_row) == (0, 1000)


def test_open_block_forgets_removed_and_superfluous_blocks(tmp_path):
    handles = [pack(batches(MATRIX), tmp_path, "float64") for _ in range(blockfile._OPEN_LIMIT + 3)]
    for handle in handles:
        open_block(handle, 0)
    assert len(blockfile._open) == blockfile._OPEN_LIMIT
    for file in (tmp_path / handles[-1].path).iterdir():
        file.unlink()
    (tmp_path / handles[-1].path).rmdir()
    with pytest.raises(FileNotFoundError):
        open_block(handles[-1], 0)


each_storage = pytest.mark.parametrize("storage", [lambda b: b, as_csr], ids=["dense", "csr"])


@each_storage
def test_one_fingerprint_ignores_the_order_of_rows_the_other_does_not(storage):
    block = storage(random_block(LogisticLoss(), offset=True))
    shuffled = block.take(np.random.default_rng(1).permutation(block.rows))
    assert fingerprints(shuffled)[0] == fingerprints(block)[0]
    assert fingerprints(shuffled)[1] != fingerprints(block)[1]
    assert fingerprints(replace(block, first_row=7)) == fingerprints(block)


@each_storage
def test_fingerprints_do_not_depend_on_chunks(storage, monkeypatch):
    block = storage(random_block(LogisticLoss(), rows=300))
    whole = fingerprints(block)
    monkeypatch.setattr(features, "CHUNK_BYTES", 0)
    monkeypatch.setattr(CsrFeatures, "chunk_rows", lambda self: 16)
    assert len(list(block.chunks())) > 4
    assert fingerprints(block) == whole


@each_storage
@pytest.mark.parametrize("name", ["label", "weight", "offset", "fold"])
def test_the_fingerprints_see_a_change_of_any_column(storage, name):
    block = storage(random_block(LogisticLoss(), offset=True))
    changed = getattr(block, name).copy()
    changed[4] += 1
    assert_other(fingerprints(replace(block, **{name: changed})), fingerprints(block))


@each_storage
def test_the_fingerprints_see_features_rows_and_columns(storage):
    block = random_block(LogisticLoss())
    matrix = block.features.dense()
    nudged = matrix.copy()
    row, column = np.argwhere(matrix)[0]
    nudged[row, column] = np.nextafter(nudged[row, column], np.inf)
    swapped = matrix[:, [1, 0, 2, 3, 4]]
    same = fingerprints(storage(block))
    assert_other(fingerprints(storage(replace(block, features=DenseFeatures(nudged)))), same)
    assert_other(fingerprints(storage(replace(block, features=DenseFeatures(swapped)))), same)
    assert_other(fingerprints(storage(block.take(np.arange(1, block.rows)))), same)


def assert_other(left, right):
    assert all(mine != other for mine, other in zip(left, right, strict=True))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_slice_maps_its_rows_alone(tmp_path, sparse, dtype):
    handle = pack(batches(SPARSE if sparse else MATRIX, sparse=sparse), tmp_path, dtype)
    whole = map_block(handle)
    part = map_block(handle.slice(11, 33), first_row=5)
    assert part.features.values.dtype == dtype
    np.testing.assert_array_equal(part.features.dense(), whole.features.dense()[11:33])
    np.testing.assert_array_equal(part.features.dot(np.ones(6)), whole.features.dot(np.ones(6))[11:33])
    for name in ("label", "weight", "offset", "fold"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[11:33])
    assert part.first_row == 5
    deeper = map_block(handle.slice(11, 33).slice(2, 9))
    np.testing.assert_array_equal(deeper.label, LABEL[13:20])
    assert handle.slice(0, 40) is handle
    assert handle.slice(30, 90).rows == 10
    assert handle.slice(11, 33).fingerprint == handle.ordered_fingerprint == fingerprints(whole)[1]
    cuts = [handle.slice(a, b) for a, b in ((0, 11), (11, 33), (33, 40))]
    assert sum(cut.stored for cut in cuts) == handle.stored
    assert (open_block(cuts[0], 0).rows, open_block(cuts[1], 0).rows) == (11, 22)


def wide_batch(width: int, touched: int, rows: int = 50) -> pa.RecordBatch:
    """Two stored values a row, spread over ``touched`` of the columns."""
    rng = np.random.default_rng(width)
    columns = np.sort(rng.choice(width, touched, replace=False))
    rows_of = [sorted(rng.choice(columns, 2, replace=False).tolist()) for _ in range(rows)]
    return pa.RecordBatch.from_pydict(
        {
            "features": pa.array([[1.5, float(i)] for i in range(rows)], pa.list_(pa.float64())),
            "indices": pa.array([[*columns_of_row, width] for columns_of_row in rows_of], pa.list_(pa.int32())),
            "label": pa.array([float(i % 2) for i in range(rows)]),
        }
    )


def test_few_touched_columns_of_many_are_named(tmp_path):
    batch = wide_batch(writer.WIDE, 30)
    handle = pack([read_batch(batch)], tmp_path, "float64")
    features = map_block(handle).features
    assert isinstance(features, WideFeatures)
    assert handle.touched == features.inside.num_features == len(features.columns) <= 30
    indices = [index for *row, _ in batch.column("indices").to_pylist() for index in row]
    np.testing.assert_array_equal(features.csr().indices, indices)
    assert handle.num_bytes == size_of_arrays(handle)
    assert handle.fingerprint == fingerprints(replace(map_block(handle), features=features.csr()))[0]


@pytest.mark.parametrize(("width", "touched"), [(writer.WIDE - 1, 30), (writer.WIDE, writer.WIDE)])
def test_columns_are_not_named_where_they_are_few_or_nearly_all_touched(tmp_path, width, touched):
    handle = pack([read_batch(wide_batch(width, touched, rows=60_000))], tmp_path, "float64")
    assert handle.touched is None
    assert isinstance(map_block(handle).features, CsrFeatures)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", [(0, 40), (11, 33)], ids=["whole", "slice"])
def test_a_block_that_is_read_gives_the_bits_of_one_that_is_mapped(tmp_path, monkeypatch, sparse, dtype, rows):
    monkeypatch.setattr(features, "CHUNK_BYTES", 0)
    monkeypatch.setattr(CsrFeatures, "chunk_rows", lambda self: 9)
    matrix = SPARSE if sparse else MATRIX
    mapped = pack(batches(matrix, sparse=sparse), tmp_path, dtype)
    read = pack(batches(matrix, sparse=sparse), tmp_path, dtype, "read")
    assert read.fingerprint == mapped.fingerprint
    assert read.ordered_fingerprint == mapped.ordered_fingerprint
    one, other = block_of(read.slice(*rows)), block_of(mapped.slice(*rows))
    assert isinstance(one.features.values, FileArray) and not isinstance(other.features.values, FileArray)
    assert len(list(one.chunks())) > 1
    points = np.random.default_rng(3).normal(size=(2, 7))
    for kernel in (GradientKernel(LogisticLoss(), CoefLayout(6), points), GramKernel(np.zeros(6), np.ones(6))):
        mine, theirs = kernel(one), kernel(other)
        for name in ("value", "gradient", "hessian"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
    some = np.array([3, 0, 3, 17])
    np.testing.assert_array_equal(one.take(some).features.dense(), other.take(some).features.dense())
    np.testing.assert_array_equal(one.features.dense(), other.features.dense())


def test_a_block_that_is_read_keeps_one_chunk_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "CHUNK_BYTES", 0)
    block = block_of(pack(batches(MATRIX), tmp_path, "float64", "read"))
    values = [chunk.features.values for chunk in block.chunks()]
    assert len(values) == 3
    assert all(np.shares_memory(value, values[0]) for value in values)


def test_a_file_that_was_cut_short_is_an_error(tmp_path):
    handle = pack(batches(MATRIX), tmp_path, "float64", "read")
    os.truncate(f"{handle.path}/values", 100)
    with pytest.raises(OSError, match="values is shorter than it was written"):
        list(block_of(handle).chunks())
