"""The training curve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from sparkgd.ml.display.plot import plot_history

if TYPE_CHECKING:
    from sparkgd.ml.summary import TrainingSummary

pytestmark = pytest.mark.usefixtures("headless")


@dataclass
class History:
    """The part of a summary that a plot reads."""

    solver: str = "newton"
    status: str = "converged"
    totalRounds: int = 4
    objectiveHistory: list[float] = field(default_factory=lambda: [0.7, 0.3, 0.2])
    gradientNormHistory: list[float] = field(default_factory=lambda: [1.0, 1e-3, 1e-9])
    validationHistory: list[float] = field(default_factory=list)

    def summary(self) -> TrainingSummary:
        return cast("TrainingSummary", self)


def test_new_figure_has_objective_and_gradient_norm_on_a_log_axis() -> None:
    ax = plot_history(History().summary())
    left, right = ax.figure.axes
    np.testing.assert_array_equal(left.get_lines()[0].get_xydata(), [[0, 0.7], [1, 0.3], [2, 0.2]])
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), [1.0, 1e-3, 1e-9])
    assert right.get_yscale() == "log"
    assert left.get_title(loc="left") == "newton: converged after 4 rounds"
    ax.figure.canvas.draw()


def test_validation_loss_is_drawn_where_there_is_one() -> None:
    ax = plot_history(History(validationHistory=[0.8, 0.5, 0.6]).summary())
    assert [line.get_label() for line in ax.get_lines()] == ["objective", "validation loss"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "objective", "validation loss", "gradient norm (right)",
    ]  # fmt: skip


def test_given_axes_are_drawn_on() -> None:
    from matplotlib import pyplot

    first, second = pyplot.figure().subplots(1, 2)
    assert plot_history(History(solver="gd").summary(), second) is second
    assert second.get_title(loc="left").startswith("gd")
    assert not first.get_lines()


def test_a_gradient_of_zero_can_be_drawn() -> None:
    ax = plot_history(History(objectiveHistory=[0.0], gradientNormHistory=[0.0]).summary())
    ax.figure.canvas.draw()
