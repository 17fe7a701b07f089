"""The order in which partial sums are added, and the driver engine."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest

from sparkgd.engine.driver import DriverEngine
from sparkgd.engine.partial import Partial
from sparkgd.kernels import Sums
from sparkgd.kernels.combine import combine, levels
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss
from sparkgd.questions.gradient import GradientKernel
from tests.support.blocks import random_block, split
from tests.support.reference import plain_sums


def partials(count: int) -> list[Partial]:
    values = np.random.default_rng(count).normal(size=(count, 4)) * 10.0 ** np.arange(4)
    return [Partial((Sums(value=v),), fingerprint=2**62 + i) for i, v in enumerate(values)]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 100, 1000])
def test_every_partial_is_added_once(count, depth):
    parts = partials(count)
    total = combine(parts, depth)
    exact = np.sum([part.sums[0].value for part in parts], axis=0)
    np.testing.assert_allclose(total.sums[0].value, exact, rtol=1e-10, atol=1e-10)
    assert total.fingerprint == sum(part.fingerprint for part in parts) % 2**64


@pytest.mark.parametrize("count", [1, 3, 16, 100, 1000, 5000])
def test_depth_bounds_the_levels_and_the_last_one_is_small(count):
    assert levels(count, 1) == []
    for depth in (2, 3, 4):
        sizes = levels(count, depth)
        assert len(sizes) <= depth - 1
        at_the_driver = -(-count // prod(sizes))
        assert at_the_driver <= max(4, 3 * count ** (1 / depth))


def test_few_partitions_need_no_tree():
    assert levels(2, 2) == levels(4, 2) == []


def test_nothing_adds_up_to_nothing():
    assert Partial.total([]).sums == ()
    assert Partial.total([]).fingerprint == 0


def test_missing_partitions_are_gathered():
    total = combine([Partial((Sums(),), missing=(i,)) for i in range(20)], 2)
    assert sorted(total.missing) == list(range(20))


@pytest.mark.parametrize("stops", [[], [30], [0, 5, 5, 40], list(range(1, 60))], ids=["1", "2", "empty ones", "60"])
def test_the_driver_engine_equals_the_plain_loop_for_any_partitions(stops):
    block = random_block(LogisticLoss(), offset=True)
    layout = CoefLayout(5)
    points = np.random.default_rng(0).normal(size=(2, 6))
    engine = DriverEngine(split(block, stops))
    sums = engine.round([GradientKernel(LogisticLoss(), layout, points)])[0]
    for i in range(2):
        plain = plain_sums(LogisticLoss(), layout, points[i], block)
        assert sums.value[i] == pytest.approx(plain.value, rel=1e-12)
        np.testing.assert_allclose(sums.gradient[i], plain.gradient, rtol=1e-11, atol=1e-12)


def test_the_driver_engine_runs_every_kernel_in_order():
    block = random_block(LogisticLoss())
    layout = CoefLayout(5)
    kernels = [GradientKernel(LogisticLoss(), layout, np.full((1, 6), s)) for s in (0.0, 0.5, -1.0)]
    together = DriverEngine([block]).round(kernels)
    for kernel, sums in zip(kernels, together, strict=True):
        np.testing.assert_array_equal(sums.value, kernel(block).value)


def test_class_weights_multiply_the_sample_weights():
    block, layout = random_block(LogisticLoss()), CoefLayout(5)
    kernel = GradientKernel(LogisticLoss(), layout, np.full((1, 6), 0.3))
    engine = DriverEngine([block])
    engine.weigh_classes(np.array([3.0, 0.5]))
    weighted = engine.round([kernel])[0]
    by_hand = kernel(block.reweighted(np.array([3.0, 0.5])))
    np.testing.assert_array_equal(weighted.gradient, by_hand.gradient)
    assert weighted.weight[0] == pytest.approx(float(block.weight @ np.where(block.label == 0, 3.0, 0.5)))


def test_a_row_of_weight_zero_may_have_a_label_without_factor():
    block = random_block(LogisticLoss())
    label, weight = block.label.copy(), block.weight.copy()
    label[:3], weight[:3] = [-1.0, 20_000.0, 0.5], 0.0
    strange = replace(block, label=label, weight=weight).reweighted(np.array([3.0, 0.5]))
    np.testing.assert_array_equal(strange.weight[:3], 0.0)
    np.testing.assert_array_equal(strange.weight[3:], block.reweighted(np.array([3.0, 0.5])).weight[3:])
