"""Laws of the feature matrices: dense and CSR agree with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.features import DenseFeatures
from tests.support.blocks import csr

RNG = np.random.default_rng(1)
MATRIX = RNG.normal(size=(30, 6)) * (RNG.random((30, 6)) < 0.4)
MATRIX[[0, 11, 12, 29]] = 0.0  # empty rows, also first and last
MATRIX[:, 3] = 0.0

storages = pytest.mark.parametrize("features", [DenseFeatures(MATRIX), csr(MATRIX)], ids=["dense", "csr"])


@storages
def test_products(features):
    vectors, multipliers = RNG.normal(size=(6, 3)), RNG.normal(size=(30, 2))
    np.testing.assert_allclose(features.dot(vectors), MATRIX @ vectors, atol=1e-13)
    np.testing.assert_allclose(features.dot(vectors[:, 0]), MATRIX @ vectors[:, 0], atol=1e-13)
    np.testing.assert_allclose(features.transpose_dot(multipliers), multipliers.T @ MATRIX, atol=1e-13)
    np.testing.assert_allclose(features.transpose_dot(multipliers[:, 0]), multipliers[:, 0] @ MATRIX, atol=1e-13)
    np.testing.assert_array_equal(features.dense(), MATRIX)


@storages
def test_slices_and_rows(features):
    for start, stop in ((0, 30), (0, 1), (11, 13), (29, 30), (5, 5)):
        np.testing.assert_array_equal(features.slice(start, stop).dense(), MATRIX[start:stop])
        np.testing.assert_array_equal(features.slice(3, 25).slice(2, 9).dense(), MATRIX[5:12])
    rows = np.array([29, 4, 4, 0], dtype=np.intp)
    np.testing.assert_array_equal(features.take(rows).dense(), MATRIX[rows])
    assert features.take(np.zeros(0, dtype=np.intp)).rows == 0


@storages
def test_column_sums(features):
    weight = RNG.choice([0.0, 1.0, 3.0], 30)
    total, squares = features.column_sums(weight)
    mean = weight @ MATRIX / weight.sum()
    np.testing.assert_allclose(total, weight @ MATRIX, atol=1e-13)
    np.testing.assert_allclose(squares, weight @ (MATRIX - mean) ** 2, atol=1e-12)


@storages
def test_column_support(features):
    weight = RNG.choice([0.0, 1.0, 3.0], 30)
    np.testing.assert_allclose(features.column_support(weight), weight @ (MATRIX != 0.0), rtol=1e-14)


@pytest.mark.parametrize("make", [DenseFeatures, csr], ids=["dense", "csr"])
def test_column_support_without_and_with_stored_zeros(make):
    matrix, weight = 1.0 + MATRIX**2, np.arange(30.0)
    np.testing.assert_allclose(make(matrix).column_support(weight), np.full(matrix.shape[1], weight.sum()))
    stored = csr(matrix)
    stored.values[:] = 0.0
    assert not stored.column_support(weight).any()


@pytest.mark.parametrize("make", [DenseFeatures, csr], ids=["dense", "csr"])
def test_column_squares_do_not_cancel(make):
    matrix = 1e6 + np.random.default_rng(2).normal(size=(1000, 2))
    _, squares = make(matrix).column_sums(np.ones(1000))
    np.testing.assert_allclose(squares, 1000 * matrix.var(axis=0), rtol=1e-9)


@pytest.mark.parametrize("make", [DenseFeatures, csr], ids=["dense", "csr"])
def test_not_finite_names_rows_and_columns(make):
    matrix = MATRIX.copy()
    matrix[3, 1], matrix[3, 2], matrix[28, 2] = np.nan, np.inf, -np.inf
    rows, columns = make(matrix).not_finite()
    assert rows.tolist() == [3, 28]
    assert columns.tolist() == [1, 2]
    rows, columns = make(MATRIX).not_finite()
    assert len(rows) == len(columns) == 0
    rows, _ = make(matrix).slice(10, 30).not_finite()
    assert rows.tolist() == [18]


def test_csr_with_no_stored_value_at_all():
    features = csr(np.zeros((4, 3)))
    assert features.stored == 0
    np.testing.assert_array_equal(features.dot(np.ones((3, 2))), np.zeros((4, 2)))
    np.testing.assert_array_equal(features.transpose_dot(np.ones((4, 1))), np.zeros((1, 3)))
    total, squares = features.column_sums(np.ones(4))
    assert not total.any()
    assert not squares.any()
