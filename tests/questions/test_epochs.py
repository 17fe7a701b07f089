"""Local epochs: the compiled loop against a plain loop over dense, scaled and centred rows."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels import Block, Sums
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import Loss
from sparkgd.questions import epochs
from sparkgd.questions.epochs import EpochKernel, Frame, Steps
from tests.losses.cases import ALL, grid_of
from tests.support.blocks import as_csr, as_float32, random_block

Array = npt.NDArray[np.float64]

BY_ROW = {name: loss for name, loss in ALL.items() if type(loss).row_derivative is not None}
each_loss = pytest.mark.parametrize("loss", list(BY_ROW.values()), ids=list(BY_ROW))
FEW = {name: BY_ROW[name] for name in ("logistic", "squared", "multinomial", "hinge")}
few_losses = pytest.mark.parametrize("loss", list(FEW.values()), ids=list(FEW))


@each_loss
def test_row_derivative_is_the_derivative(loss: Loss):
    grid = grid_of(loss)
    raw = grid.raw if loss.num_outputs > 1 else grid.raw[..., None]
    _, expected = loss.value_and_derivative(grid.label, grid.raw)
    expected = expected.reshape(raw.shape)
    out = np.zeros(loss.num_outputs)
    for i, label in enumerate(grid.label[:, 0]):
        for j in range(raw.shape[1]):
            type(loss).row_derivative(loss.row_parameter, float(label), np.array(raw[i, j]), out)
            np.testing.assert_allclose(out, expected[i, j], rtol=1e-12, atol=1e-13)


@each_loss
def test_row_derivative_compiles_and_stays_finite_at_extremes(loss: Loss):
    compiled = epochs._derivative(type(loss))
    out = np.zeros(loss.num_outputs)
    for size in (-700.0, 700.0):
        raw = np.full(loss.num_outputs, size)
        raw[1:] *= -1.0
        for label in grid_of(loss).label[:, 0]:
            compiled(loss.row_parameter, float(label), raw, out)
            assert not np.isnan(out).any()


def kernel_for(loss: Loss, seed: int = 0, **changes: object) -> EpochKernel:
    rng = np.random.default_rng(seed)
    layout = CoefLayout(5, loss.num_outputs)
    frame = Frame(rng.normal(size=5), rng.uniform(0.2, 1.0, 5), 0.7)
    steps = Steps(0.05, 0.02, damping=0.3, seed=4, round=2)
    l2 = rng.uniform(0.0, 0.2, (loss.num_outputs, 5))
    kernel = EpochKernel(loss, layout, 0.1 * rng.normal(size=layout.size), frame, steps, l2)
    return replace(kernel, **changes)


def anchored(kernel: EpochKernel) -> EpochKernel:
    rng = np.random.default_rng(9)
    return replace(kernel, anchor_gradient=0.1 * rng.normal(size=kernel.layout.size))


def plain_epoch(kernel: EpochKernel, block: Block, stride: int = 1) -> tuple[Array, Array]:
    """Mean weights (K, p) and mean centred intercepts of SGD on rows that are scaled and centred beforehand."""
    loss, layout, frame, steps = kernel.loss, kernel.layout, kernel.frame, kernel.steps
    scaled = (block.features.dense() - frame.center) * frame.scale
    weight = np.where(block.fold == kernel.held_out, 0.0, block.weight)
    used = np.flatnonzero(weight > 0.0)
    order = kernel._order(used, block, 0)
    start = layout.weights(kernel.start)
    anchor_intercept = layout.intercepts(kernel.start) + start @ frame.center
    safe = np.where(frame.scale > 0.0, frame.scale, 1.0)
    anchor = np.where(frame.scale > 0.0, start / safe, 0.0)
    u, b = anchor.copy(), anchor_intercept.copy()
    average_from = min(int(steps.average_from * len(order)), max(len(order) - stride, 0))
    means, intercepts = [], []
    step, share_sum = steps.first, weight[used].mean()
    for first in range(0, len(order), stride):
        frozen, steps_taken = u.copy(), 0.0
        batch = order[first : first + stride]
        for i in batch:
            x, share, label = scaled[i], step * weight[i] / share_sum, block.label[i : i + 1]
            shift = 0.0 if block.offset is None else block.offset[i]
            slope = slope_at(loss, label, u @ x + b + shift)
            drift, drift_b = np.zeros_like(u), np.zeros(layout.num_outputs)
            if kernel.anchor_gradient is not None:
                slope = slope - slope_at(loss, label, anchor @ x + anchor_intercept + shift)
                drift = kernel.l2 * frame.scale**2 * frozen + layout.weights(kernel.anchor_gradient) * frame.scale
                drift_b = layout.intercepts(kernel.anchor_gradient) * frame.intercept_scale
            damped = share / (1.0 + share * steps.damping * (x @ x + frame.intercept_scale**2))
            u = u - damped * slope[:, None] * x - share * drift
            b = b - frame.intercept_scale * (frame.intercept_scale * damped * slope + share * drift_b)
            steps_taken += share
        if kernel.anchor_gradient is None:  # the proximal step of L2
            u = u / (1.0 + steps_taken * kernel.l2 * frame.scale**2)
        if first >= average_from:
            means += [u * frame.scale] * len(batch)
            intercepts += [b] * len(batch)
        step *= (steps.last / steps.first) ** (stride / len(order))
    return np.mean(means, axis=0), np.mean(intercepts, axis=0)


def slope_at(loss: Loss, label: Array, raw: Array) -> Array:
    """Derivative (K,) of one row."""
    shaped = raw[None, :] if loss.num_outputs > 1 else raw
    return np.asarray(loss.value_and_derivative(label, shaped)[1]).reshape(-1)


def led_to(kernel: EpochKernel, sums: Sums) -> tuple[Array, Array]:
    """Weights and centred intercepts that a kernel's reply stands for."""
    move = sums.move / sums.information
    start = kernel.layout.weights(kernel.start)
    centred = kernel.layout.intercepts(kernel.start) + start @ kernel.frame.center
    return start + kernel.layout.weights(move), centred + kernel.layout.intercepts(move)


@few_losses
@pytest.mark.parametrize("stride", [1, 7])
@pytest.mark.parametrize("with_anchor", [False, True])
def test_equals_a_plain_loop(loss: Loss, stride: int, with_anchor: bool, monkeypatch):
    monkeypatch.setattr(EpochKernel, "_stride", lambda self, block: stride)
    block = random_block(loss, rows=80, offset=True)
    kernel = kernel_for(loss, held_out=1)
    kernel = anchored(kernel) if with_anchor else kernel
    for expected, got in zip(plain_epoch(kernel, block, stride), led_to(kernel, kernel(block)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@few_losses
@pytest.mark.parametrize("with_anchor", [False, True])
def test_dense_equals_csr(loss: Loss, with_anchor: bool, monkeypatch):
    monkeypatch.setattr(EpochKernel, "_stride", lambda self, block: 5)
    block = random_block(loss, offset=True)
    kernel = anchored(kernel_for(loss)) if with_anchor else kernel_for(loss)
    dense, sparse = kernel(block), kernel(as_csr(block))
    np.testing.assert_allclose(dense.move, sparse.move, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(dense.information, sparse.information, rtol=1e-12)


@few_losses
def test_float32_storage_is_computed_in_float64(loss: Loss):
    single = as_float32(random_block(loss))
    double = replace(single, features=replace(single.features, values=single.features.dense()))
    np.testing.assert_array_equal(kernel_for(loss)(single).move, kernel_for(loss)(double).move)


@few_losses
@pytest.mark.parametrize("with_anchor", [False, True])
def test_late_l2_is_close_to_eager_l2(loss: Loss, with_anchor: bool, monkeypatch):
    block = random_block(loss, rows=300)
    kernel = kernel_for(loss, steps=Steps(0.02, 0.02, damping=0.3))
    kernel = anchored(kernel) if with_anchor else kernel
    late = kernel(block)
    assert kernel._stride(block) > 1
    monkeypatch.setattr(EpochKernel, "_stride", lambda self, block: 1)
    eager = kernel(block)
    np.testing.assert_allclose(late.move, eager.move, rtol=0.0, atol=0.03 * np.abs(eager.move).max())


def test_same_bits_for_the_same_seed_and_others_for_another():
    loss = FEW["logistic"]
    block, kernel = random_block(loss), kernel_for(loss)
    np.testing.assert_array_equal(kernel(block).move, kernel(block).move)
    for changed in (replace(kernel.steps, seed=5), replace(kernel.steps, round=3)):
        assert not np.array_equal(kernel(block).move, replace(kernel, steps=changed)(block).move)
    assert not np.array_equal(kernel(block).move, kernel(replace(block, first_row=60)).move)


def test_an_epoch_begins_where_the_last_one_ended():
    loss = FEW["squared"]
    block, kernel = random_block(loss), kernel_for(loss)
    twice = replace(kernel, steps=replace(kernel.steps, epochs=2))(block)
    assert not np.allclose(twice.move, kernel(block).move)
    longer = np.linalg.norm(twice.move / twice.information)
    assert longer > np.linalg.norm(kernel(block).move / kernel(block).information)


@few_losses
def test_rows_without_weight_change_nothing(loss: Loss):
    block = random_block(loss)
    block = replace(block, label=np.where(block.weight > 0.0, block.label, 0.0))
    other = replace(block, label=np.where(block.weight > 0.0, block.label, 1.0))
    np.testing.assert_array_equal(kernel_for(loss)(block).move, kernel_for(loss)(other).move)
    assert kernel_for(loss)(replace(block, weight=np.zeros(block.rows))) == Sums()


def test_information_counts_weight_and_what_a_column_shows():
    loss = FEW["logistic"]
    block, kernel = random_block(loss), kernel_for(loss)
    information = kernel(block).information
    values, weight = block.features.dense(), block.weight
    expected = kernel.steps.damping * weight @ values**2 + weight.sum() * kernel.l2[0]
    np.testing.assert_allclose(information[:-1], expected, rtol=1e-12)
    assert information[-1] == pytest.approx(weight.sum())


def test_a_zero_scale_fixes_a_weight():
    loss = FEW["logistic"]
    kernel = kernel_for(loss)
    kernel = replace(kernel, frame=replace(kernel.frame, scale=np.array([0.5, 0.0, 0.5, 0.5, 0.0])))
    move = kernel(random_block(loss)).move
    assert move[1] == move[4] == 0.0
    assert move[0] != 0.0


def test_without_numba_the_error_names_the_extra(monkeypatch):
    epochs._compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "sparkgd.kernels.compiled", None)
    monkeypatch.delattr("sparkgd.kernels.compiled", raising=False)
    try:
        with pytest.raises(IncompatibleError, match=r"sparkgd\[fast\]"):
            kernel_for(FEW["logistic"])(random_block(FEW["logistic"]))
    finally:
        epochs._compiled.cache_clear()
