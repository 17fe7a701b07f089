"""Fit after fit in one session: nothing grows."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

from sparkgd.classification import LinearSVC, LogisticRegression
from sparkgd.regression import GeneralizedLinearRegression, LinearRegression
from tests.support.frames import frame
from tests.support.leftovers import traces
from tests.support.processes import descendants, open_files, resident_bytes

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")]

FITS, WARM_UP = 200, 60
GROWTH = 1.05
"""Most memory after all fits, relative to that after the warm-up."""

BLOCK_FILES = 3
"""Files of a block of dense rows, which a worker holds until it opens a block of a later fit."""

RNG = np.random.default_rng(8)
X = RNG.normal(size=(200, 5))
Y = (X[:, 0] + RNG.logistic(size=200) > 0).astype(float)

ESTIMATORS = [
    LogisticRegression(solver="newton", maxIter=1),
    LinearSVC(regParam=0.1, solver="localSGD", maxIter=1),
    LinearRegression(regParam=0.1),
    GeneralizedLinearRegression(family="poisson", solver="l-bfgs", maxIter=1),
]


def held() -> dict[str, int]:
    """What this process and the Python workers hold: files, and bytes of memory."""
    gc.collect()
    here, workers = [os.getpid()], descendants("pyspark.daemon")
    return {
        "open files here": open_files(here),
        "open files of workers": open_files(workers),
        "memory here": sum(map(resident_bytes, here)),
        "memory of workers": sum(map(resident_bytes, workers)),
        "workers": len(workers),
    }


def test_two_hundred_fits_leave_nothing_and_need_no_more_than_sixty(spark):
    """The first fits import, compile and start workers; what later ones add would be added by every fit of a service.

    Rounds are Spark jobs, as they are for data that do not fit into the driver.
    """
    df = frame(spark, X, Y, 1).cache()
    df.count()
    before = traces(spark)
    try:
        for number in range(FITS):
            ESTIMATORS[number % len(ESTIMATORS)].setParams(execution="cluster").fit(df)
            if number + 1 == WARM_UP:
                warm = held()
        assert traces(spark) == before
        after = held()
    finally:
        df.unpersist()
    assert (after["open files here"], after["workers"]) == (warm["open files here"], warm["workers"])
    assert after["open files of workers"] <= warm["open files of workers"] + BLOCK_FILES * after["workers"]
    for kind in ("memory here", "memory of workers"):
        assert after[kind] <= GROWTH * warm[kind], (kind, warm, after)
