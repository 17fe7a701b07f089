"""The progress line: fits its screen, moves towards convergence, makes room for other output."""

from __future__ import annotations

import io
import math
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TextIO

import pytest

from sparkgd.ml.display.progress import ProgressLine
from sparkgd.ml.display.screens import Log, Terminal, current_screen
from sparkgd.training.loop import Record

START = Record(
    model=0,
    round=1,
    stage="all rows",
    iteration=0,
    objective=0.6931472,
    gradient_norm=1.0,
    gradient_limit=1e-6,
    held_out_loss=math.nan,
    seconds=0.01,
    max_iterations=100,
)


@dataclass
class FakeScreen:
    """Remembers what it was told to show."""

    width: int = 200
    interval: float = 0.0
    bar_length: int = 10
    bar_mark: str = "#"
    is_blank: bool = False
    shown: list[str] = field(default_factory=list)

    def show(self, line: str) -> None:
        self.shown.append(line)
        self.is_blank = False

    def clear(self) -> None:
        self.shown.append("(cleared)")
        self.is_blank = True

    def end(self, ending: str) -> None:
        self.shown.append(ending)


def after(iteration: int, gradient_norm: float) -> Record:
    return replace(START, round=iteration + 1, iteration=iteration, gradient_norm=gradient_norm)


def bars(screen: FakeScreen) -> list[int]:
    return [line.count("#") for line in screen.shown if "[" in line]


def test_bar_follows_the_logarithm_of_the_gradient_norm_and_never_goes_back() -> None:
    screen = FakeScreen()
    line = ProgressLine("Fit", screen)
    for iteration, norm in enumerate([1.0, 1e-3, 1e-1, 1e-5, 9e-7]):
        line(after(iteration, norm))
    assert bars(screen) == [0, 5, 5, 8, 10]


@pytest.mark.parametrize("limit", [math.nan, 0.0])
def test_bar_follows_the_iterations_where_the_gradient_is_no_test(limit: float) -> None:
    screen = FakeScreen()
    line = ProgressLine("Fit", screen)
    for iteration in (0, 50, 100):
        line(replace(after(iteration, 1e-9), gradient_limit=limit))
    assert bars(screen) == [0, 5, 10]


@pytest.mark.parametrize("norm", [math.nan, math.inf, 0.0])
def test_extreme_gradient_norms_do_not_break_the_line(norm: float) -> None:
    screen = FakeScreen()
    line = ProgressLine("Fit", screen)
    line(after(0, norm))
    line(after(1, 1e-3))
    line(after(2, norm))
    assert all(0 <= bar <= 10 for bar in bars(screen))


@pytest.mark.parametrize("width", [10, 30, 50, 79, 99, 140])
def test_line_never_exceeds_the_width_and_keeps_the_most_important(width: int) -> None:
    screen = FakeScreen(width=width)
    ProgressLine("LogisticRegression", screen)(replace(after(99, 1.234e-123), objective=-1.2345678e-200))
    (line,) = screen.shown
    assert len(line) <= width
    assert line.startswith("iteration" if width < 79 else ("[", "LogisticRegression"))
    assert ("s/round" in line) == (width == 140)


def test_lines_of_a_fit_have_the_same_length() -> None:
    screen = FakeScreen()
    line = ProgressLine("Fit", screen)
    line(after(9, 1e-2))
    line(replace(after(100, 1e-12), objective=0.6, round=99))
    assert len(screen.shown[0]) == len(screen.shown[1])


def test_interval_skips_lines_but_the_last_state_is_shown_at_the_end() -> None:
    screen = FakeScreen(interval=1000.0)
    with ProgressLine("Fit", screen) as line:
        for iteration in range(5):
            line(after(iteration, 0.1**iteration))
        line.finish("converged: small enough")
    first, last, ending = screen.shown
    assert "iteration   0/100" in first
    assert "iteration   4/100" in last
    assert ending == "converged: small enough"


def test_a_fit_that_fails_ends_its_line() -> None:
    screen = FakeScreen()

    def fail() -> None:
        with ProgressLine("Fit", screen) as line:
            line(START)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert screen.shown[-1] == ""


def test_what_a_callback_prints_gets_a_line_of_its_own() -> None:
    screen = FakeScreen(interval=1000.0)
    with ProgressLine("Fit", screen) as line:
        callbacks = line.around([lambda record: screen.shown.append(f"warning {record.round}")])
        for record in (after(0, 1.0), after(1, 0.1)):
            for callback in callbacks:
                assert not callback(record), "no wish to stop the fit"
    assert screen.shown[0:2] == ["(cleared)", "warning 1"]
    assert "iteration   0/100" in screen.shown[2]
    assert screen.shown[3:5] == ["(cleared)", "warning 2"]
    assert "iteration   1/100" in screen.shown[5], "the line must come back at once"


def test_without_callbacks_nothing_is_cleared() -> None:
    line = ProgressLine("Fit", FakeScreen())
    assert line.around([]) == [line]


def test_python_s_warnings_stay_as_they_are() -> None:
    before = warnings.showwarning
    first, second = ProgressLine("Fit", FakeScreen()), ProgressLine("Fit", FakeScreen())
    first.__enter__()
    second.__enter__()
    assert warnings.showwarning is before
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert warnings.showwarning is before


def test_log_prints_whole_lines_and_repeats_none() -> None:
    stream = io.StringIO()
    with ProgressLine("Fit", Log(stream)) as line:
        line(START)
        line.finish("max iterations: enough")
    assert "\r" not in stream.getvalue()
    assert stream.getvalue().splitlines() == [
        "Fit  iteration   0/100  objective 0.693147   gradient 1.0e+00  round 1  0.010 s/round",
        "max iterations: enough",
    ]


@pytest.fixture
def narrow_terminal() -> Iterator[tuple[int, TextIO]]:
    """Both ends of a pseudo-terminal of 60 columns."""
    reader, writer = pty.openpty()
    subprocess.run(["stty", "cols", "60", "rows", "20"], stdin=writer, check=True)
    with open(writer, "w", encoding="utf-8") as stream:
        yield reader, stream
    os.close(reader)


def seen(reader: int, stream: TextIO, length: int) -> str:
    """What was written; a terminal may hand it over in pieces."""
    stream.flush()
    shown = ""
    while len(shown) < length:
        shown += os.read(reader, 4096).decode()
    return shown


def rows_of(written: str) -> list[str]:
    """What a person sees of it."""
    rows = []
    for row in written.split("\n"):
        visible: list[str] = []
        for part in row.split("\r"):
            visible[: len(part)] = part
        rows.append("".join(visible).rstrip())
    return rows


def test_terminal_line_fits_its_columns_and_leaves_nothing_of_longer_lines(narrow_terminal: tuple[int, TextIO]) -> None:
    reader, stream = narrow_terminal
    screen = Terminal(stream)
    assert screen.width == 59
    screen.show("a long line")
    screen.show("short")
    screen.clear()
    assert screen.is_blank
    screen.show("again")
    screen.end("done")
    expected = "\ra long line " + "\rshort       " + "\r     \r" + "\ragain " + "\ragain\r\ndone\r\n"
    assert seen(reader, stream, len(expected)) == expected


def test_lines_of_overlapping_fits_take_turns_on_a_terminal() -> None:
    stream = io.StringIO()
    first, second, third = Terminal(stream), Terminal(stream), Terminal(stream)
    first.show("first 1")
    second.show("second, long, 1")
    assert rows_of(stream.getvalue()) == ["first 1"]
    second.clear()
    print("its callback's output", file=stream)
    second.show("second, long, 2")
    third.show("third 1")
    assert rows_of(stream.getvalue()) == ["its callback's output", "first 1"]
    second.end("second ended")
    first.show("first 2")
    expected = ["its callback's output", "second, long, 2", "second ended"]
    assert rows_of(stream.getvalue()) == [*expected, "first 2"]
    first.end("first ended")
    expected += ["first 2", "first ended"]
    assert rows_of(stream.getvalue()) == [*expected, "third 1"], "whose turn it is now"
    third.end("third ended")
    assert rows_of(stream.getvalue()) == [*expected, "third 1", "third ended", ""]


def test_a_line_comes_back_below_output_that_it_does_not_know_of() -> None:
    stream = io.StringIO()
    screen = Terminal(stream)
    screen.show("line 1")
    print("WARN", file=stream)
    screen.show("line 2")
    assert rows_of(stream.getvalue()) == ["line 1 WARN", "line 2"]


def test_fits_in_threads_never_mix_their_lines() -> None:
    stream = io.StringIO()

    def fit(number: int) -> None:
        with ProgressLine("Fit", Terminal(stream)) as line:
            for iteration in range(100):
                line(replace(after(iteration, 0.9**iteration), objective=float(number)))
            line.finish(f"converged: fit {number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fit, range(4)))
    rows = rows_of(stream.getvalue())
    assert rows.pop() == ""
    for line, ending in zip(rows[::2], rows[1::2], strict=True):
        number = ending.removeprefix("converged: fit ")
        assert line.startswith("Fit  [##############]  iteration  99/100")
        assert f"objective {number} " in line
    assert len(rows) == 8


def test_screen_is_a_terminal_or_a_log(monkeypatch: pytest.MonkeyPatch, narrow_terminal: tuple[int, TextIO]) -> None:
    monkeypatch.setattr(sys, "stderr", narrow_terminal[1])
    assert isinstance(current_screen(), Terminal)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(current_screen(), Log)
