"""Kernels of losses with several outputs, and with scalar outputs, against a plain loop over rows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
from scipy import sparse

from sparkgd.engine.partial import Work
from sparkgd.kernels import Block, features
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import JointHuberLoss, Loss, MultinomialLoss
from sparkgd.questions.gradient import GradientKernel
from sparkgd.questions.hessian import HessianKernel
from sparkgd.questions.product import ProductKernel

Array = npt.NDArray[np.float64]

ROWS, COLUMNS = 50, 4
LOSSES: dict[str, Loss] = {"multinomial": MultinomialLoss(3), "jointHuber": JointHuberLoss(1.2)}

cases = pytest.mark.parametrize(
    ("loss", "fit_intercept", "is_sparse"),
    [
        pytest.param(LOSSES[name], fit, csr, id=f"{name}-{fit}-{csr}")
        for name, fit, csr in product(LOSSES, [True, False], [True, False])
    ],
)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "CHUNK_BYTES", 8 * 16 * COLUMNS)


def block_of(is_sparse: bool) -> Block:
    random = np.random.default_rng(3)
    values = random.normal(size=(ROWS, COLUMNS)) * (random.random((ROWS, COLUMNS)) < 0.6)
    csr = sparse.csr_array(values)
    rows = (
        CsrFeatures(csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int64), COLUMNS)
        if is_sparse
        else DenseFeatures(values)
    )
    label, weight = random.integers(0, 3, ROWS).astype(float), random.uniform(0.0, 2.0, ROWS)
    return Block(rows, label, weight, random.normal(size=ROWS), random.integers(0, 2, ROWS).astype(np.uint8))


def layout_of(loss: Loss, fit_intercept: bool) -> CoefLayout:
    return CoefLayout(COLUMNS, loss.num_outputs, fit_intercept, loss.num_scalars)


def points_of(layout: CoefLayout, count: int) -> Array:
    points = np.random.default_rng(5).normal(size=(count, layout.size))
    points[:, layout.size - layout.num_scalars :] = np.abs(points[:, layout.size - layout.num_scalars :]) + 0.3
    return points


def map_of(block: Block, layout: CoefLayout, row: np.intp) -> tuple[Array, Array]:
    """Matrix A (K, size) and shift with ``raw_prediction = A coef + shift``, written out by hand."""
    outputs, linear = layout.num_outputs, layout.num_outputs - layout.num_scalars
    matrix, shift = np.zeros((outputs, layout.size)), np.zeros(outputs)
    assert block.offset is not None
    for k in range(linear):
        matrix[k, k * COLUMNS : (k + 1) * COLUMNS] = block.features.dense()[row]
        shift[k] = block.offset[row]
        if layout.fit_intercept:
            matrix[k, linear * COLUMNS + k] = 1.0
    for k in range(linear, outputs):
        matrix[k, layout.size - outputs + k] = 1.0
    return matrix, shift


def plain_loop(loss: Loss, block: Block, layout: CoefLayout, coef: Array, fold: int) -> tuple[float, Array, Array]:
    """Value, gradient and Hessian sums, row by row."""
    value, gradient, hessian = 0.0, np.zeros(layout.size), np.zeros((layout.size, layout.size))
    assert block.fold is not None
    for row in np.flatnonzero(block.fold != fold):
        matrix, shift = map_of(block, layout, row)
        label, raw = block.label[row], matrix @ coef + shift
        one, slope = loss.value_and_derivative(np.asarray(label), raw)
        value += block.weight[row] * float(one)
        gradient += block.weight[row] * matrix.T @ slope
        hessian += block.weight[row] * matrix.T @ loss.curvature(np.asarray(label), raw) @ matrix
    return value, gradient, hessian


@cases
def test_gradient_of_many_points(loss: Loss, fit_intercept: bool, is_sparse: bool) -> None:
    block, layout = block_of(is_sparse), layout_of(loss, fit_intercept)
    points, held_out = points_of(layout, 3), np.array([-1, 0, 1], dtype=np.int16)
    sums = GradientKernel(loss, layout, points, held_out)(block)
    assert sums.value is not None and sums.gradient is not None
    for i, fold in enumerate(held_out):
        value, gradient, _ = plain_loop(loss, block, layout, points[i], int(fold))
        np.testing.assert_allclose(sums.value[i], value, rtol=1e-12)
        np.testing.assert_allclose(sums.gradient[i], gradient, rtol=1e-11, atol=1e-12)


@cases
def test_hessian_and_its_products(loss: Loss, fit_intercept: bool, is_sparse: bool) -> None:
    block, layout = block_of(is_sparse), layout_of(loss, fit_intercept)
    point, directions = points_of(layout, 1)[0], np.random.default_rng(6).normal(size=(2, layout.size))
    value, gradient, hessian = plain_loop(loss, block, layout, point, 1)
    sums = HessianKernel(loss, layout, point, 1)(block)
    assert sums.value is not None and sums.gradient is not None and sums.hessian is not None
    np.testing.assert_allclose(sums.value, [value], rtol=1e-12)
    np.testing.assert_allclose(sums.gradient, gradient[None, :], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(sums.hessian, hessian, rtol=1e-11, atol=1e-12)
    products = ProductKernel(loss, layout, point, directions, 1)(block).product
    assert products is not None
    np.testing.assert_allclose(products, directions @ hessian, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("num_scalars", [0, 1, 2])
def test_layout_unpacks_what_it_packs(fit_intercept: bool, num_scalars: int) -> None:
    layout = CoefLayout(COLUMNS, 3, fit_intercept, num_scalars)
    coefs = np.random.default_rng(2).normal(size=(5, 2, layout.size))
    weights, intercepts = layout.weights(coefs), layout.intercepts(coefs)
    assert weights.shape == (5, 2, 3, COLUMNS) and intercepts.shape == (5, 2, 3)
    np.testing.assert_array_equal(layout.pack(weights, intercepts), coefs)
    assert not weights[..., 3 - num_scalars :, :].any()
    assert np.any(intercepts[..., : 3 - num_scalars] != 0.0) == fit_intercept


def test_trial_points_too_far_away_are_answered_by_values_that_are_not_finite() -> None:
    layout = layout_of(LOSSES["jointHuber"], True)
    points = points_of(layout, 3)
    points[1, -1] = -1.0
    points[2] = 1e308
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel = GradientKernel(LOSSES["jointHuber"], layout, points)
        sums = Work((kernel,), None, {}).scan(replace(block_of(False), fold=None)).sums[0]
    assert sums.value is not None
    np.testing.assert_array_equal(np.isfinite(sums.value), [True, False, False])
