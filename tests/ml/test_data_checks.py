"""Checks of the data that need no Spark: what is refused, in which words."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.data.statistics import merge, statistics_of
from sparkgd.exceptions import InvalidDataError
from sparkgd.ml.columns import InputColumns
from sparkgd.ml.data_checks import check_classes
from tests.support.local import block_of

COLUMNS = InputColumns("features", "species")


def checked(label, weight=None):
    """Check labels as a fit with ``classWeight`` does."""
    label = np.array(label)
    block = block_of(np.ones((len(label), 1)), label, None if weight is None else np.array(weight))
    check_classes(merge(list(statistics_of(block, by_label=True).values())), COLUMNS)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ([0.0, 1.0, 10_001.0], "labels from 0 to 10001;"),
        ([0.0, -1.0], "labels from -1 to 0;"),
        ([0.0, 0.5, 1.0], "labels from 0 to 1, some of them fractional;"),
    ],
)
def test_class_weights_need_classes(label, found):
    message = f"column 'species' holds {found} classWeight needs integers from 0 to 10000. Index .* StringIndexer"
    with pytest.raises(InvalidDataError, match=message):
        checked(label)


def test_the_highest_class_and_rows_of_weight_zero_are_no_error():
    checked([0.0, 10_000.0])
    checked([0.0, 1.0, -1.0, 20_000.0, 0.5], weight=[1.0, 1.0, 0.0, 0.0, 0.0])
    checked([0.0, 1.0], weight=[0.0, 0.0])
