"""Rules of predictions at their limits; what they predict of data is compared with MLlib's in tests/tuning."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.predictions import (
    LargestPrediction,
    MeanPrediction,
    RawPrediction,
    ThresholdPrediction,
    class_probabilities,
)

RAW = np.array([[-np.inf], [-800.0], [0.0], [1e-3], [800.0], [np.inf]])


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.0, [0, 1, 1, 1, 1, 1]), (0.5, [0, 0, 0, 1, 1, 1]), (0.6, [0, 0, 0, 0, 1, 1]), (1.0, [0, 0, 0, 0, 0, 0])],
)
def test_a_threshold_of_the_probability_is_exceeded(threshold, expected):
    np.testing.assert_array_equal(ThresholdPrediction.of_probability(threshold)(RAW), expected)


def test_the_largest_is_the_first_of_equal_ones():
    raw = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 2.0], [0.0, np.inf, 5.0]])
    np.testing.assert_array_equal(LargestPrediction()(raw), [0, 1, 1])


def test_a_class_whose_threshold_is_zero_needs_any_probability():
    raw = np.array([[0.0, -700.0], [0.0, -800.0]])  # the second's probability is zero
    np.testing.assert_array_equal(LargestPrediction((1.0, 0.0))(raw), [1, 0])


def test_a_mean_stays_within_its_range():
    prediction = MeanPrediction(np.exp, 1e-16, 1e10)
    np.testing.assert_array_equal(prediction(RAW), [1e-16, 1e-16, 1.0, np.exp(1e-3), 1e10, 1e10])
    np.testing.assert_array_equal(RawPrediction()(RAW), RAW[:, 0])


def test_probabilities_add_to_one_however_far_the_raw_predictions():
    for raw in (RAW, np.concatenate([RAW, 0.0 * np.nan_to_num(RAW), -np.ones_like(RAW)], axis=1)):
        probability = class_probabilities(raw)
        assert probability.shape[1] == max(raw.shape[1], 2)
        assert ((probability >= 0.0) & (probability <= 1.0)).all()
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
