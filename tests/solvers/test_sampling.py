"""Mini-batches are a function of seed, step and row number, and have the distribution that they claim."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from sparkgd.solvers.sampling import BernoulliRows, UniformRows, _stream

TOTAL = 1000

samples = pytest.mark.parametrize(
    "sample_at",
    [lambda seed, step: UniformRows(seed, step, 300, TOTAL), lambda seed, step: BernoulliRows(seed, step, 0.3)],
    ids=["uniform", "bernoulli"],
)


def row_numbers(sample, stops: list[int]) -> np.ndarray:
    """Rows of the whole dataset that the partitions pick, in order."""
    edges = [0, *stops, TOTAL]
    parts = [first + sample.rows(first, stop - first) for first, stop in pairwise(edges)]
    return np.sort(np.concatenate(parts))


@samples
@pytest.mark.parametrize("stops", [[500], [1, 2, 3, 4, 5, 6, 7], [333, 333, 666, 999], list(range(1, TOTAL))])
def test_partitions_do_not_matter(sample_at, stops):
    sample = sample_at(3, 8)
    np.testing.assert_array_equal(row_numbers(sample, stops), row_numbers(sample, []))


@samples
def test_every_step_and_every_seed_draws_other_rows(sample_at):
    rows = [tuple(row_numbers(sample_at(seed, step), [])) for seed in (0, 1, 2**63, 2**64 - 1) for step in range(1, 20)]
    assert len(set(rows)) == len(rows)


@samples
def test_the_same_step_draws_the_same_rows(sample_at):
    np.testing.assert_array_equal(row_numbers(sample_at(5, 2), []), row_numbers(sample_at(5, 2), []))


@samples
def test_every_row_is_as_likely(sample_at):
    steps = 2000
    counts = np.zeros(TOTAL)
    for step in range(steps):
        np.add.at(counts, row_numbers(sample_at(1, step), []), 1)
    expected = 0.3 * steps
    deviation = np.sqrt(expected)
    assert counts.mean() == pytest.approx(expected, abs=5 * deviation / np.sqrt(TOTAL))
    assert np.abs(counts - expected).max() < 5.5 * deviation


def test_uniform_batches_draw_with_replacement_and_keep_their_size():
    sizes = [len(row_numbers(UniformRows(0, step, 300, TOTAL), [400])) for step in range(20)]
    assert set(sizes) == {300}
    assert len(set(row_numbers(UniformRows(0, 1, 300, TOTAL), []))) < 300


def test_bernoulli_batches_vary_in_size_as_a_binomial():
    sizes = np.array([len(row_numbers(BernoulliRows(0, step, 0.3), [])) for step in range(400)])
    assert sizes.mean() == pytest.approx(300, abs=5 * np.sqrt(210 / 400))
    assert sizes.std() == pytest.approx(np.sqrt(210), rel=0.2)
    assert len(row_numbers(BernoulliRows(0, 1, 1.0), [])) == TOTAL


def test_skipping_ahead_in_the_stream_is_reading_it_through():
    through = np.random.Generator(_stream(9, 4)).random(200)
    for first in (0, 1, 3, 4, 5, 63, 64, 100):
        picked = BernoulliRows(9, 4, 0.5).rows(first, 200 - first)
        np.testing.assert_array_equal(picked, np.flatnonzero(through[first:] < 0.5))


def test_expected_weights():
    assert UniformRows(0, 1, 20, 200).expected_weight(50.0) == 5.0
    assert BernoulliRows(0, 1, 0.25).expected_weight(50.0) == 12.5
