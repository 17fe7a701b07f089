"""Statistics equal NumPy's, however the rows are cut; everything wrong with the rows is counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sparkgd.data.statistics import Group, Statistics, merge, statistics_of
from sparkgd.kernels import Block
from sparkgd.kernels.features import DenseFeatures
from sparkgd.losses import LogisticLoss, SquaredLoss
from tests.support.blocks import as_csr, assert_close_statistics, random_block, split
from tests.support.local import block_of

each_storage = pytest.mark.parametrize("storage", [lambda b: b, as_csr], ids=["dense", "csr"])


def of(block: Block) -> Statistics:
    """Statistics of all rows together."""
    return statistics_of(replace(block, fold=None))[Group()]


@each_storage
def test_they_equal_numpy(storage):
    block = random_block(SquaredLoss(), rows=200)
    found, w, x = of(storage(block)), block.weight, block.features.dense()
    mean = w @ x / w.sum()
    squares = w @ (x - mean) ** 2
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.deviation(), np.sqrt(squares / (w.sum() - w @ w / w.sum())), rtol=1e-12)
    np.testing.assert_allclose(found.deviation(ddof=0), np.sqrt(squares / w.sum()), rtol=1e-12)
    label_mean = w @ block.label / w.sum()
    label_squares = w @ (block.label - label_mean) ** 2
    assert found.label_deviation() == pytest.approx(np.sqrt(label_squares / (w.sum() - w @ w / w.sum())))
    assert found.label.variance == pytest.approx(label_squares / w.sum())
    assert (found.label_low, found.label_high) == (block.label[w > 0].min(), block.label[w > 0].max())
    assert found.rows == np.count_nonzero(w)
    np.testing.assert_allclose(found.support, w @ (x != 0.0), rtol=1e-12)


def test_the_net_label_is_the_label_less_the_offset():
    block = random_block(SquaredLoss(), rows=200, offset=True)
    net = of(replace(block, label=block.label - block.offset, offset=None))
    found = of(block)
    assert (found.net_label_mean, found.net_label_squares) == (net.label_mean, net.label_squares)
    assert found.net_label_deviation(ddof=0) == net.label_deviation(ddof=0) != found.label_deviation(ddof=0)
    assert net.net_label_deviation() == net.label_deviation()
    used = block.offset[block.weight > 0.0]
    assert (found.offset_low, found.offset_high) == (used.min(), used.max())
    assert (net.offset_low, net.offset_high) == (0.0, 0.0)


def test_unit_weights_give_the_ordinary_unbiased_deviation():
    block = replace(random_block(SquaredLoss()), weight=np.ones(60))
    np.testing.assert_allclose(of(block).deviation(), np.std(block.features.dense(), axis=0, ddof=1), rtol=1e-12)


@each_storage
@pytest.mark.parametrize("stops", [[1], [30], [10, 10, 35], [20, 40, 59]], ids=str)
@pytest.mark.parametrize("offset", [False, True])
def test_merging_parts_gives_the_whole(storage, stops, offset):
    block = random_block(LogisticLoss(), offset=offset)
    parts = [of(storage(part)) for part in split(block, stops) if part.rows]
    assert_close_statistics(merge(parts), of(block))
    assert_close_statistics(merge(parts[::-1]), of(block))


@each_storage
@pytest.mark.parametrize("offset", [False, True])
def test_parts_of_weight_zero_change_nothing(storage, offset):
    block = random_block(LogisticLoss(), offset=offset)
    nothing = of(storage(replace(block, weight=np.zeros(block.rows), label=np.full(block.rows, 0.5))))
    assert nothing.rows == 0
    assert np.isfinite(nothing.mean).all()
    for merged in (merge([nothing, of(block)]), merge([of(block), nothing]), merge([nothing, nothing, of(block)])):
        assert_close_statistics(merged, of(block))
    assert merge([nothing, nothing]).weight == 0.0
    assert not merge([nothing, nothing]).deviation().any()


def test_merging_does_not_cancel_far_from_zero():
    rng = np.random.default_rng(0)
    values = 1e8 + rng.normal(size=(3000, 1))
    block = Block(DenseFeatures(values), np.ones(3000), np.ones(3000))
    merged = merge([of(part) for part in split(block, [500, 1000, 2500])])
    np.testing.assert_allclose(merged.deviation(), values.std(axis=0, ddof=1), rtol=1e-7)


def test_a_single_row_has_deviation_zero():
    one = random_block(SquaredLoss()).take(np.array([0]))
    assert not of(replace(one, weight=np.array([2.5]))).deviation().any()


def test_folds_are_kept_apart():
    block = random_block(LogisticLoss(), rows=200, offset=True)
    by_fold = statistics_of(block)
    assert set(by_fold) == {Group(0), Group(1), Group(2)}
    for group, found in by_fold.items():
        assert_close_statistics(found, of(block.take(np.flatnonzero(block.fold == group.fold))))


def test_classes_are_kept_apart_where_asked_for():
    block = random_block(LogisticLoss(), rows=200)
    groups = statistics_of(block, by_label=True)
    assert set(groups) == {Group(fold, label) for fold in range(3) for label in range(2)}
    for group, found in groups.items():
        rows = np.flatnonzero((block.fold == group.fold) & (block.label == group.label))
        assert_close_statistics(found, of(block.take(rows)))


def test_class_weights_ignore_rows_of_weight_zero():
    block = replace(
        random_block(LogisticLoss(), rows=4),
        label=np.array([0.0, 0.0, 1.0, 7.0]),
        weight=np.array([1.0, 2.0, 3.0, 0.0]),
    )
    found = of(block)
    assert found.class_weights == {0: 3.0, 1: 3.0}
    assert found.label_high == 1.0


@each_storage
@pytest.mark.parametrize(
    ("role", "problem", "value"),
    [
        ("label", "NaN or infinite", np.nan),
        ("label", "NaN or infinite", np.inf),
        ("weight", "NaN or infinite", np.nan),
        ("weight", "NaN or infinite", np.inf),
        ("weight", "negative", -1.0),
        ("offset", "NaN or infinite", -np.inf),
    ],
)
def test_problems_are_counted(storage, role, problem, value):
    block = random_block(SquaredLoss(), offset=True)
    column = getattr(block, role).copy()
    column[[3, 50]] = value
    bad = storage(replace(block, **{role: column}))
    merged = merge([of(part) for part in split(bad, [20])])
    assert merged.problems == {(role, problem): 2}


@each_storage
def test_bad_features_are_counted_by_row_and_named_by_column(storage):
    block = random_block(SquaredLoss())
    features = block.features.dense().copy()
    features[3, [1, 2]], features[50, 2] = np.nan, np.inf
    bad = storage(replace(block, features=DenseFeatures(features), weight=np.ones(block.rows)))
    merged = merge([of(part) for part in split(bad, [20])])
    assert merged.problems == {("features", "NaN or infinite"): 2}
    assert merged.bad_columns == {1, 2}


def test_fractional_labels_are_no_classes():
    block = replace(random_block(LogisticLoss(), rows=3), label=np.array([0.0, 0.5, 1.0]), weight=np.ones(3))
    assert not of(block).label_integer
    merged = merge([of(part) for part in split(block, [1, 2])])
    assert not merged.label_integer


def test_reweighting_is_multiplying_the_weights():
    block = random_block(LogisticLoss(), offset=True)
    for factor in (3.0, 0.25):
        assert_close_statistics(of(block).reweighted(factor), of(replace(block, weight=block.weight * factor)))


def test_the_folds_of_merge_order_do_not_matter():
    parts = [of(part) for part in split(random_block(LogisticLoss()), [15, 30, 45])]
    for left, right in pairwise(parts):
        assert_close_statistics(left + right, right + left)


def test_labels_too_large_to_be_squared_are_counted_not_raised():
    """Python's own floats raise an OverflowError where NumPy's become infinite."""
    parts = [statistics_of(block_of(np.ones((1, 1)), np.array([label])))[Group()] for label in (1e200, -1e300)]
    assert merge(parts).label_squares == np.inf
