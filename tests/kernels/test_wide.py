"""Blocks that touch few of very many columns: everything equals the same rows as plain CSR."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from sparkgd.data.statistics import statistics_of
from sparkgd.kernels import Block, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.kernels.sums import Entries
from sparkgd.kernels.wide import WideFeatures
from sparkgd.losses import HingeLoss, LogisticLoss, MultinomialLoss
from sparkgd.questions.certificate import DualKernel
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.hessian import HessianKernel
from sparkgd.questions.product import ProductKernel
from tests.support.blocks import csr, random_block

WIDTH = 40


def wide_block(seed: int = 0, loss: object = None, columns: int = 5) -> tuple[Block, Block]:
    """The same rows, touching a few of the columns, as wide features and as CSR."""
    block = random_block(loss or LogisticLoss(), seed=seed, columns=columns)
    touched = np.sort(np.random.default_rng(seed).choice(WIDTH, columns, replace=False)).astype(np.int32)
    inside = csr(block.features.dense())
    wide = WideFeatures(inside, touched, WIDTH)
    return replace(block, features=wide), replace(block, features=wide.csr())


def assert_close(sums: Sums, expected: Sums) -> None:
    for name in Sums.__dataclass_fields__:
        mine, other = getattr(sums, name), getattr(expected, name)
        assert (mine is None) == (other is None), name
        if mine is not None:
            np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12, err_msg=name)


def test_every_method_equals_that_of_csr():
    block, plain = wide_block()
    wide, narrow = block.features, plain.features
    rng = np.random.default_rng(1)
    weights, multipliers = rng.normal(size=(WIDTH, 3)), rng.normal(size=(block.rows, 2))
    np.testing.assert_allclose(wide.dot(weights), narrow.dot(weights))
    np.testing.assert_allclose(wide.dot(weights[:, 0]), narrow.dot(weights[:, 0]))
    np.testing.assert_allclose(wide.transpose_dot(multipliers), narrow.transpose_dot(multipliers))
    np.testing.assert_allclose(wide.transpose_dot(multipliers[:, 0]), narrow.transpose_dot(multipliers[:, 0]))
    np.testing.assert_array_equal(wide.dense(), narrow.dense())
    np.testing.assert_array_equal(wide.slice(3, 9).dense(), narrow.slice(3, 9).dense())
    rows = np.array([4, 0, 4])
    np.testing.assert_array_equal(wide.take(rows).dense(), narrow.take(rows).dense())
    for mine, other in zip(wide.column_sums(block.weight), narrow.column_sums(block.weight), strict=True):
        np.testing.assert_allclose(mine, other)
    np.testing.assert_allclose(wide.column_support(block.weight), narrow.column_support(block.weight))
    assert (wide.rows, wide.num_features, wide.stored) == (narrow.rows, narrow.num_features, narrow.stored)


def test_a_value_that_is_not_finite_is_found_in_its_own_column():
    block, _ = wide_block()
    inside = block.features.inside
    values = inside.values.copy()
    values[3] = np.nan
    features = replace(block.features, inside=replace(inside, values=values))
    rows, columns = features.not_finite()
    expected = features.csr().not_finite()
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(columns, expected[1])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", [LogisticLoss(), MultinomialLoss(3)], ids=["one output", "three"])
def test_kernels_equal_those_over_csr(loss, fit_intercept):
    block, plain = wide_block(loss=loss)
    layout = CoefLayout(WIDTH, loss.num_outputs, fit_intercept)
    points = np.random.default_rng(2).normal(size=(3, layout.size))
    held_out = np.array([-1, 0, 2], dtype=np.int16)
    for kernel in (
        GradientKernel(loss, layout, points, held_out),
        GradientKernel(loss, layout, points[:1]),
        ProductKernel(loss, layout, points[0], points[1:]),
        HessianKernel(loss, layout, points[0]),
        HessianKernel(loss, layout, points[0], columns=np.array([0, 3, WIDTH // 2, WIDTH - 1])),
    ):
        assert_close(kernel(block).dense(), kernel(plain))


def test_dual_sums_equal_those_over_csr():
    block, plain = wide_block(loss=HingeLoss())
    layout = CoefLayout(WIDTH)
    points = np.random.default_rng(2).normal(size=(2, layout.size))
    kernel = DualKernel(HingeLoss(), HingeLoss().smoothed(0.1), layout, points)
    assert_close(kernel(block).dense(), kernel(plain))


def test_gradients_are_as_long_as_the_touched_columns():
    block, _ = wide_block()
    sums = GradientKernel(LogisticLoss(), CoefLayout(WIDTH), np.zeros((2, WIDTH + 1)))(block)
    assert sums.gradient.shape == (2, 5 + 1)
    some = HessianKernel(LogisticLoss(), CoefLayout(WIDTH), np.zeros(WIDTH + 1), columns=np.array([0, WIDTH - 1]))(
        block
    )
    assert (some.gradient.shape, some.hessian.shape) == ((1, 5 + 1), (3, 3))


def gradient_sums(columns: int) -> list[Sums]:
    point = np.random.default_rng(3).normal(size=(1, WIDTH + 1))
    kernel = GradientKernel(LogisticLoss(), CoefLayout(WIDTH), point)
    return [kernel(wide_block(seed, columns=columns)[0]) for seed in range(3)]


@pytest.mark.parametrize("columns", [3, 15], ids=["unions stay short", "unions become dense"])
def test_sums_of_different_columns_add_as_dense_ones(columns):
    parts = gradient_sums(columns)
    expected = parts[0].dense() + parts[1].dense() + parts[2].dense()
    for a, b, c in permutations(parts):
        assert_close(((a + b) + c).dense(), expected)
        assert_close((a + (b + c)).dense(), expected)
        assert_close((a + b.dense() + c).dense(), expected)
    assert ((parts[0] + parts[1]).entries is None) == (columns == 15)


def test_the_empty_sums_are_neutral_and_sums_travel():
    for sums in gradient_sums(4):
        for same in (Sums() + sums, sums + Sums(), pickle.loads(pickle.dumps(sums))):
            np.testing.assert_array_equal(same.entries.numbers, sums.entries.numbers)
            np.testing.assert_array_equal(same.gradient, sums.gradient)
    assert (Sums(weight=np.ones(1)) + sums).entries is sums.entries


def test_a_layout_of_some_features_keeps_the_intercepts():
    layout = CoefLayout(6, num_outputs=2)
    inside, entries = layout.restricted(np.array([1, 4], dtype=np.int32))
    coef = np.arange(14.0)
    np.testing.assert_array_equal(inside.weights(entries.of(coef)), layout.weights(coef)[:, [1, 4]])
    np.testing.assert_array_equal(inside.intercepts(entries.of(coef)), layout.intercepts(coef))
    assert isinstance(entries, Entries)


@pytest.mark.parametrize("by_label", [False, True])
def test_statistics_of_the_touched_columns_spread_to_all(by_label):
    block, plain = wide_block()
    found, expected = statistics_of(block.narrow(), by_label), statistics_of(plain, by_label)
    assert found.keys() == expected.keys()
    for group, part in found.items():
        whole = part.spread(block.features.columns, WIDTH)
        np.testing.assert_allclose(whole.mean, expected[group].mean)
        np.testing.assert_allclose(whole.squares, expected[group].squares)
        np.testing.assert_allclose(whole.support, expected[group].support)
        assert whole.weight == expected[group].weight
