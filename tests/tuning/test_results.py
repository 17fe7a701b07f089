"""The table of a search, its plot, and the live line."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import IncompatibleError
from sparkgd.ml.display.grid import GridLine
from sparkgd.solvers.base import Ending, Status
from sparkgd.training.loop import Record
from sparkgd.tuning.results import (
    RETIRED,
    Trial,
    best_map,
    label_of,
    metrics_by_map,
    named,
    plot_results,
    refused,
    table_of,
)  # fmt: skip

ESTIMATOR = LogisticRegression()
TOLD = ["metric", "status", "reason", "solver", "iterations", "rounds", "seconds"]


def maps_of(**values) -> list[dict]:
    """A map for each position of the values."""
    several = [dict(zip(values, each, strict=True)) for each in zip(*values.values(), strict=True)]
    return [{ESTIMATOR.getParam(name): value for name, value in each.items()} for each in several]


def trials_of(metrics: dict[int, list[float]]) -> list[Trial]:
    """By fold, the metrics of maps."""
    return [
        Trial(fold, number, metric, "converged", "because", "newton", 3, 4, 0.5)
        for fold, several in metrics.items()
        for number, metric in enumerate(several)
    ]


def test_the_table_has_a_row_for_each_fold_and_map_with_params_first():
    trials = trials_of({1: [0.3, 0.4], 0: [0.1, 0.2]})
    table = table_of(trials[::-1], maps_of(regParam=[0.1, 1.0], fitIntercept=[True, False]))
    assert list(table.columns) == ["fold", "map", "regParam", "fitIntercept", *TOLD]
    assert list(zip(table["fold"], table["map"], table["metric"], strict=True)) == [
        (0, 0, 0.1), (0, 1, 0.2), (1, 0, 0.3), (1, 1, 0.4),
    ]  # fmt: skip
    assert list(table["regParam"]) == [0.1, 1.0] * 2
    assert set(table["rounds"]) == {4}


def test_params_that_only_some_maps_set_are_columns_before_the_metric():
    maps = [{}, *maps_of(regParam=[1.0]), *maps_of(maxIter=[5])]
    table = table_of(trials_of({0: [0.1, 0.2, 0.3]}), maps)
    assert list(table.columns) == ["fold", "map", "regParam", "maxIter", *TOLD]
    assert list(table["regParam"].isna()) == [True, False, True]


def test_a_grid_of_solvers_keeps_what_the_maps_say():
    trials = [*trials_of({0: [0.1]}), refused(0, 1, IncompatibleError("no"))]
    table = table_of(trials, maps_of(solver=["auto", "localSGD"]))
    assert list(table["solver"]) == ["auto", "localSGD"]
    assert list(table["status"]) == ["converged", "refused"]
    assert list(table["reason"]) == ["because", "no"]
    assert list(table["metric"].isna()) == [False, True]


def test_params_of_several_stages_are_told_apart():
    other = LogisticRegression()
    both = {ESTIMATOR.regParam: 0.1, other.regParam: 0.2, ESTIMATOR.tol: 1e-3}
    assert named(both) == {f"{ESTIMATOR.uid}.regParam": 0.1, f"{other.uid}.regParam": 0.2, "tol": 1e-3}


def test_a_map_in_a_few_words():
    assert label_of({}) == "defaults"
    assert label_of({ESTIMATOR.regParam: 0.1 + 0.2, ESTIMATOR.maxIter: 5}) == "regParam=0.3, maxIter=5"
    long = label_of({ESTIMATOR.featuresCols: [f"column{j}" for j in range(100)]})
    assert len(long) < 40
    assert long.endswith("...")


def test_the_best_map_is_the_first_of_the_best_and_never_nan():
    assert best_map([0.2, 0.7, 0.7, np.nan], is_larger_better=True) == 1
    assert best_map([np.nan, 0.7, 0.2, 0.2], is_larger_better=False) == 2
    assert best_map([np.nan, np.nan], is_larger_better=False) is None
    assert metrics_by_map(trials_of({1: [0.3, 0.4], 0: [0.1, 0.2]}), 2) == [[0.1, 0.3], [0.2, 0.4]]


METRICS = {0: [0.60, 0.80, 0.90, 0.50], 1: [0.64, 0.90, 0.86, 0.56], 2: [0.62, 0.70, 0.88, 0.44]}


def drawn(ax) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Of each line with error bars: x, y and half the length of the bars."""
    ax.figure.canvas.draw()
    found = []
    for line, _, (bars,) in ax.containers:
        segments = np.array(bars.get_segments())
        found.append((*line.get_xydata().T, (segments[:, 1, 1] - segments[:, 0, 1]) / 2.0))
    return found


@pytest.mark.usefixtures("headless")
def test_a_plot_has_means_with_standard_errors_against_the_param():
    table = table_of(trials_of(METRICS), maps_of(regParam=[1e-3, 1e-2, 1e-1, 1.0]))
    ax = plot_results(table, "areaUnderROC", True)
    ((x, means, errors),) = drawn(ax)
    values = np.array(list(METRICS.values()))
    np.testing.assert_allclose(x, [1e-3, 1e-2, 1e-1, 1.0])
    np.testing.assert_allclose(means, values.mean(axis=0))
    np.testing.assert_allclose(errors, values.std(axis=0, ddof=1) / np.sqrt(3.0))
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "regParam", "areaUnderROC")
    assert ax.get_title(loc="left") == "areaUnderROC: mean of 3 folds and standard error"
    ring = ax.get_lines()[-1]
    assert ring.get_label() == "best: 0.88"
    np.testing.assert_allclose(ring.get_xydata(), [[0.1, 0.88]])


@pytest.mark.usefixtures("headless")
def test_a_plot_has_a_line_for_each_value_of_the_other_params():
    maps = maps_of(regParam=[0.1, 0.2, 0.1, 0.2], fitIntercept=[True, True, False, False])
    table = table_of(trials_of(METRICS), maps)
    ax = plot_results(table, "rmse", False)
    assert len(drawn(ax)) == 2
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sorted(labels) == ["best: 0.5", "fitIntercept=False", "fitIntercept=True"]
    assert ax.get_xscale() == "linear"
    other = plot_results(table, "rmse", False, param="fitIntercept")
    assert len(drawn(other)) == 2
    assert other.get_xlabel() == "fitIntercept"
    with pytest.raises(ValueError, match=r"param='tol' is not in the grid, which has \['regParam', 'fitIntercept'\]"):
        plot_results(table, "rmse", False, param="tol")


@pytest.mark.usefixtures("headless")
def test_given_axes_are_drawn_on_and_one_split_has_no_errors():
    from matplotlib import pyplot

    _, second = pyplot.figure().subplots(1, 2)
    table = table_of(trials_of({0: [0.5, 0.7]}), maps_of(regParam=[0.1, 0.2]))
    assert plot_results(table, "rmse", False, ax=second) is second
    ((_, means, errors),) = drawn(second)
    np.testing.assert_allclose(means, [0.5, 0.7])
    assert not errors.any()
    assert second.get_title(loc="left") == "rmse"


@pytest.mark.usefixtures("headless")
def test_models_that_are_missing_are_not_drawn_and_not_the_best():
    table = table_of(trials_of({0: [np.nan, 0.7], 1: [0.1, 0.9]}), maps_of(stepSize=[10.0, 0.2]))
    ax = plot_results(table, "rmse", False)
    np.testing.assert_allclose(ax.get_lines()[-1].get_xydata(), [[0.2, 0.8]], err_msg="the ring")
    means = ax.containers[0][0].get_xydata()
    np.testing.assert_allclose(means, [[0.2, 0.8], [10.0, np.nan]])
    crosses = [line.get_xdata() for line in ax.get_lines() if line.get_marker() == "x"]
    np.testing.assert_array_equal(crosses, [[10.0]])


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("retired", [{0}, {0, 1, 2}], ids=["one", "all"])
def test_retired_maps_are_marked_and_the_best_only_among_themselves(retired):
    trials = [replace(each, status=RETIRED) if each.map in retired else each
              for each in trials_of({0: [0.1, 0.7, 0.5], 1: [0.3, 0.9, 0.6]})]  # fmt: skip
    ax = plot_results(table_of(trials, maps_of(stepSize=[0.1, 0.2, 0.3])), "rmse", False)
    best = [0.1, 0.2] if len(retired) == 3 else [0.3, 0.55]
    np.testing.assert_allclose(ax.get_lines()[-1].get_xydata(), [best], err_msg="the ring")
    (squares,) = [line for line in ax.get_lines() if line.get_marker() == "s"]
    means = np.array([[0.1, 0.2], [0.2, 0.8], [0.3, 0.55]])
    np.testing.assert_allclose(squares.get_xydata(), means[: len(retired)])
    assert squares.get_label() == "retired"


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize(
    ("maps", "ticks"),
    [
        (maps_of(featuresCols=[["a"], ["a", "b"]]), ["['a']", "['a', 'b']"]),
        (maps_of(solver=["gd", "sgd"]), ["gd", "sgd"]),
        (maps_of(solver=["sgd", "gd"]), ["sgd", "gd"]),
    ],
    ids=["lists", "words", "words in their order"],
)
def test_params_that_are_no_numbers_can_be_drawn(maps, ticks):
    ax = plot_results(table_of(trials_of({0: [0.5, 0.7], 1: [0.6, 0.7]}), maps), "rmse", False)
    ((_, means, _),) = drawn(ax)
    np.testing.assert_allclose(means, [0.55, 0.7])
    assert [text.get_text() for text in ax.get_xticklabels()] == ticks


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("maps", [[{}], [{}, *maps_of(regParam=[0.1])]], ids=["no params", "defaults and one more"])
def test_maps_of_defaults_can_be_drawn(maps):
    trials = trials_of({0: [0.5, 0.7][: len(maps)], 1: [0.6, 0.8][: len(maps)]})
    ax = plot_results(table_of(trials, maps), "rmse", False)
    (*_, (_, means, _)) = drawn(ax)
    assert means[-1] == pytest.approx(0.55 if len(maps) == 1 else 0.75)


RECORD = Record(
    model=0, round=2, stage="all rows", iteration=1, objective=0.5, gradient_norm=1.0, gradient_limit=1e-6,
    held_out_loss=0.6, seconds=0.25, max_iterations=100,
)  # fmt: skip
DONE = Ending(Status.CONVERGED, "it is over")


class FakeScreen:
    """Remembers what it was told to show."""

    width, interval, bar_length, bar_mark, is_blank = 200, 0.0, 10, "#", False

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show(self, line: str) -> None:
        self.shown.append(line)

    def clear(self) -> None:
        self.shown.append("(cleared)")

    def end(self, ending: str) -> None:
        self.shown.append(ending)


def test_the_live_line_counts_models_and_names_the_best_over_the_folds_so_far():
    screen = FakeScreen()
    with GridLine("CrossValidator", 4, lambda number: f"map {number % 2}", screen) as line:
        line(replace(RECORD, iteration=-1, stage="lead", held_out_loss=math.nan))
        line(replace(RECORD, model=0, held_out_loss=0.5))
        line(replace(RECORD, model=1, held_out_loss=0.4, ending=DONE))
        line(replace(RECORD, model=3, held_out_loss=0.7))
        line.finish("best of 2: map 0")
    first, second, third, *_, last, ending = screen.shown
    assert "0/4 models" in first
    assert "preparing: lead" in first
    assert "best" not in first
    assert "best so far map 0 (held-out loss 0.5)" in second
    assert "1/4 models" in third
    assert "best so far map 1 (held-out loss 0.4)" in third
    assert "best so far map 0 (held-out loss 0.5)" in last, "the other has lost in its second fold"
    assert "round 2" in last
    assert "0.250 s/round" in last
    assert last.count("#") == round(10 / 4)
    assert ending == "best of 2: map 0"


def test_a_model_that_goes_on_after_a_pause_is_not_done():
    screen = FakeScreen()
    line = GridLine("CrossValidator", 2, None, screen)
    line(replace(RECORD, ending=Ending(Status.RETIRED, "retired after 1 iteration")))
    line(replace(RECORD, round=4))
    assert "1/2 models" in screen.shown[0]
    assert "0/2 models" in screen.shown[1]


def test_a_narrow_screen_keeps_the_counts_and_the_best():
    screen = FakeScreen()
    screen.width = 60
    GridLine("CrossValidator", 40, lambda number: f"map {number}", screen)(RECORD)
    assert " 0/40 models" in screen.shown[0]
    assert "best so far map 0" in screen.shown[0]
    assert len(screen.shown[0]) <= 60


def test_without_names_no_model_is_the_best():
    screen = FakeScreen()
    GridLine("LogisticRegression", 2, None, screen)(RECORD)
    assert "best" not in screen.shown[0]


def test_tables_are_pandas():
    assert isinstance(table_of(trials_of({0: [0.1]}), [{}]), pd.DataFrame)
