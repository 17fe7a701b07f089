"""The range test of step sizes."""

from __future__ import annotations

import numpy as np
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import DivergedError, IncompatibleError, InvalidDataError
from sparkgd.ml.step_size import STEPPERS, STEPS, StepSizeTest
from sparkgd.regression import LinearRegression
from sparkgd.training.loop import Record
from tests.support.frames import frame
from tests.support.leftovers import nothing_left

RNG = np.random.default_rng(12)
ROWS = 300
X = RNG.normal(1.0, 1.0, size=(ROWS, 4)) * np.array([1.0, 20.0, 0.1, 3.0])
NUMBER = X @ np.array([1.0, 0.1, 3.0, -1.0]) + RNG.normal(size=ROWS)
Y = (NUMBER.mean() < NUMBER).astype(float)
each_solver = pytest.mark.parametrize("solver", STEPPERS)


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, X, Y, number=NUMBER).cache()
    data.count()
    yield data
    data.unpersist()


@each_solver
@pytest.mark.parametrize("standardization", [True, False])
def test_fits_with_the_suggestion_descend(df, solver, standardization):
    estimator = LinearRegression(labelCol="number", solver=solver, standardization=standardization, maxIter=60)
    with nothing_left(df.sparkSession):
        test = estimator.findStepSize(df)
    summary = estimator.copy({estimator.stepSize: test.suggestion}).fit(df).summary
    # Local SGD comes as near to the optimum in its first epoch as its steps allow; all others get nearer.
    most = test.start - np.nanmin(test.objectives)
    assert test.start - summary.objective > (0.99 if solver == "localSGD" else 1.0) * most
    assert test.start == pytest.approx(NUMBER.var() / 2, rel=1e-6)  # of the null model, whatever a batch says


def test_it_takes_two_rounds_for_all_step_sizes(df):
    records: list[Record] = []
    estimator = LogisticRegression(solver="gd", execution="cluster").setCallbacks([records.append])
    test = estimator.findStepSize(df)
    assert max(record.round for record in records) == 2
    assert len(test.stepSizes) == len(test.objectives) == STEPS
    alone = estimator.copy({estimator.stepSize: float(test.stepSizes[15]), estimator.maxIter: 1})
    assert alone.fit(df).summary.objectiveHistory[-1] == test.objectives[15]


def test_steps_that_diverge_are_nan_or_above_the_start(df):
    test = LinearRegression(labelCol="number", solver="gd").findStepSize(df)
    best = int(np.nanargmin(test.objectives))
    assert 0 < best < STEPS - 1
    assert test.objectives[-1] > test.start
    assert test.suggestion == pytest.approx(0.5 * test.stepSizes[best])


@pytest.mark.usefixtures("headless")
def test_the_plot_shows_the_suggestion(df):
    test = LogisticRegression(solver="gd").findStepSize(df)
    ax = test.plot()
    assert ax.get_xscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["before", "after one iteration", f"suggestion: {test.suggestion:.3g}"]


def test_what_cannot_be_tested_is_refused(df):
    with pytest.raises(IncompatibleError, match="solver='auto' takes no stepSize"):
        LogisticRegression().findStepSize(df)
    with nothing_left(df.sparkSession), pytest.raises(InvalidDataError, match="label"):
        LogisticRegression(solver="gd", labelCol="nothing").findStepSize(df)
    with pytest.raises(DivergedError, match="no step size lowers the objective"):
        _ = StepSizeTest(np.array([1.0, 2.0]), np.array([np.nan, 3.0]), 1.0).suggestion
