"""Dual sums: against a plain loop, dense and CSR, by fold."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import EpsilonInsensitiveLoss, HingeLoss, PiecewiseLinearLoss, QuantileLoss
from sparkgd.questions.certificate import DualKernel
from tests.support.blocks import as_csr, random_block, split

LOSSES = [HingeLoss(), QuantileLoss(0.3), EpsilonInsensitiveLoss(0.4)]
WIDTH = 0.7


def kernel_for(loss: PiecewiseLinearLoss, held_out: np.ndarray | None) -> DualKernel:
    layout = CoefLayout(5)
    points = np.random.default_rng(3).normal(size=(3, layout.size))
    return DualKernel(loss, loss.smoothed(WIDTH), layout, points, held_out)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("held_out", [None, np.array([-1, 0, 2], dtype=np.int16)], ids=["all rows", "folds"])
def test_sums_equal_a_plain_loop(loss, held_out):
    block = random_block(loss, offset=True)
    kernel = kernel_for(loss, held_out)
    sums = kernel(block)
    features = np.column_stack([block.features.dense(), np.ones(block.rows)])
    for m, point in enumerate(kernel.points):
        value, weight, height, slope = 0.0, 0.0, np.zeros(2), np.zeros((2, 6))
        for i in range(block.rows):
            if held_out is not None and block.fold[i] == held_out[m]:
                continue
            raw = features[i] @ point + block.offset[i]
            label = np.array([block.label[i]])
            _, dual = loss.smoothed(WIDTH).value_and_derivative(label, np.array([raw]))
            side = 0 if dual[0] > 0.0 else 1
            value += block.weight[i] * loss.value_and_derivative(label, np.array([raw]))[0][0]
            weight += block.weight[i]
            height[side] += block.weight[i] * (dual[0] * raw - loss.conjugate(label, dual)[0])
            slope[side] += block.weight[i] * dual[0] * features[i]
        np.testing.assert_allclose(sums.value[m], value, rtol=1e-12)
        np.testing.assert_allclose(sums.weight[m], weight, rtol=1e-12)
        np.testing.assert_allclose(sums.dual_height[m], height, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(sums.dual_slope[m], slope, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_storage_and_partitions_do_not_matter(loss):
    block, kernel = random_block(loss, rows=80, offset=True), kernel_for(loss, None)
    whole, sparse = kernel(block), kernel(as_csr(block))
    first, second = (kernel(part) for part in split(block, [30]))
    for other in (sparse, first + second):
        np.testing.assert_allclose(other.dual_height, whole.dual_height, rtol=1e-11)
        np.testing.assert_allclose(other.dual_slope, whole.dual_slope, rtol=1e-10, atol=1e-11)
