"""Formulas of metrics where MLlib's own digits do not suffice to compare with."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.kernels.measures import ErrorMeasure
from sparkgd.kernels.predictions import RawPrediction
from sparkgd.questions.held_out_scores import Scores
from sparkgd.tuning.formulas import area_under_curve, error_metric

RNG = np.random.default_rng(6)


@pytest.mark.parametrize("distance", [0.0, 1e4, 1e8])
def test_errors_keep_their_digits_however_far_the_labels_are_from_zero(distance):
    label = distance + RNG.normal(size=500)
    prediction, weight = label + 0.3 * RNG.normal(size=500), np.ones(500)
    totals = ErrorMeasure(RawPrediction(), label.mean() + 0.1).totals(label, weight, prediction[:, None])
    exact, predicted = label.astype(np.longdouble), prediction.astype(np.longdouble)
    squares, spread = np.square(exact - predicted), np.square(exact - exact.mean())
    expected = {
        "mse": squares.mean(),
        "r2": 1.0 - squares.sum() / spread.sum(),
        "var": np.square(predicted - exact.mean()).mean(),
    }
    for name, value in expected.items():
        assert error_metric(name, totals, False, False) == pytest.approx(float(value), rel=1e-12)


def test_the_area_of_some_thresholds_groups_consecutive_ones():
    score = np.array([5.0, 4.0, 4.0, 3.0, 2.0, 1.0])
    positive = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    # Of the five thresholds 5, 4, 3, 2, 1 every other one counts, and the last: (0, 0), (1/3, 2/3), (2/3, 1), (1, 1).
    scores = Scores(score, positive, 1.0 - positive)
    assert area_under_curve("areaUnderROC", scores, 2) == pytest.approx((1 / 3 + 5 / 6 + 1.0) / 3)
    precision = [2 / 3, 2 / 3, 3 / 5, 1 / 2]
    assert area_under_curve("areaUnderPR", scores, 2) == pytest.approx(
        2 / 3 * (precision[0] + precision[1]) / 2 + 1 / 3 * (precision[1] + precision[2]) / 2
    )
