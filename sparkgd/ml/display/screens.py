"""Where a line of text about a fit is shown: rewritten in terminals and notebooks, printed now and then elsewhere."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, Protocol, TextIO

from sparkgd.ml.display.terminal_row import row_of


class Screen(Protocol):
    """A place for one line that changes.

    Attributes
    ----------
    width : int
        Characters that a line may have.
    interval : float
        Seconds that should pass between two lines.
    bar_length : int
        Characters of a bar; 0 where bars make no sense.
    bar_mark : str
        The character that fills a bar.
    is_blank : bool
        Whether the line has made room for other output and should come back.
    """

    interval: float
    bar_length: int
    bar_mark: str

    @property
    def width(self) -> int: ...

    @property
    def is_blank(self) -> bool: ...

    def show(self, line: str) -> None:
        """Show a line in place of the last one."""
        ...

    def clear(self) -> None:
        """Make room for other output."""
        ...

    def end(self, ending: str) -> None:
        """Keep the last line, print the ending below it."""
        ...


class Terminal:
    """Rewrites a line on a row that fits share; never as wide as the terminal, which would wrap it."""

    interval = 0.05
    bar_length = 14

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._row = row_of(stream)
        self.bar_mark = "█" if (stream.encoding or "").lower().startswith("utf") else "#"

    @property
    def width(self) -> int:
        """One less than the terminal has columns now, which a user may change meanwhile."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return (columns or 80) - 1

    @property
    def is_blank(self) -> bool:
        """Whether the line has made room and should come back."""
        return self._row.is_blank

    def show(self, line: str) -> None:
        self._row.show(self, line)

    def clear(self) -> None:
        self._row.clear()

    def end(self, ending: str) -> None:
        self._row.end(self, ending)


class Notebook:
    """Updates one display of a Jupyter notebook, so that a saved notebook keeps the final text only."""

    interval = 0.2
    width = 110
    bar_length = 14
    bar_mark = "█"
    is_blank = False

    def __init__(self) -> None:
        self._handle: Any = None
        self._line = ""

    def show(self, line: str) -> None:
        self._line = line
        self._display(line)

    def clear(self) -> None:
        """Nothing to do: other output has places of its own."""

    def end(self, ending: str) -> None:
        if ending:
            self._display(f"{self._line}\n{ending}".strip())

    def _display(self, text: str) -> None:
        data = {"text/plain": text}
        if self._handle is None:
            self._handle = import_module("IPython.display").display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class Log:
    """Prints whole lines, few of them: for files and pipes."""

    interval = 10.0
    width = 200
    bar_length = 0
    bar_mark = ""
    is_blank = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._line = ""

    def show(self, line: str) -> None:
        if line != self._line:
            self._print(line)
        self._line = line

    def clear(self) -> None:
        """Nothing to do: lines are complete."""

    def end(self, ending: str) -> None:
        if ending:
            self._print(ending)

    def _print(self, line: str) -> None:
        self._stream.write(f"{line}\n")  # at once: fits in other threads may write too
        self._stream.flush()


def current_screen() -> Screen:
    """The screen that this process has now; stderr, except in a notebook."""
    if _in_notebook():
        return Notebook()
    return Terminal(sys.stderr) if sys.stderr.isatty() else Log(sys.stderr)


def _in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process; its shell has a kernel, that of a terminal has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
