"""The row of a terminal that the progress lines of fits in several threads take in turn."""

from __future__ import annotations

from threading import Lock
from typing import TextIO
from weakref import WeakValueDictionary


class TerminalRow:
    """Rewrites the last row of a terminal by carriage returns.

    It shows the line of the fit that began first. A fit that ends meanwhile leaves its last line above. What others
    print while a line is shown begins behind it, and the line goes on below.

    Parameters
    ----------
    stream : TextIO
        Of the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()
        self._lines: dict[object, str] = {}
        self._length = 0

    @property
    def is_blank(self) -> bool:
        """Whether no line is shown."""
        return self._length == 0

    def show(self, fit: object, line: str) -> None:
        """Take a fit's line, and show the line whose turn it is."""
        with self._lock:
            self._lines[fit] = line
            self._draw()

    def clear(self) -> None:
        """Blank the row, for other output."""
        with self._lock:
            self._write("\r" + " " * self._length + "\r")
            self._length = 0

    def end(self, fit: object, ending: str) -> None:
        """Leave a fit's last line with the ending below it, and go on with the next line."""
        with self._lock:
            line = self._lines.pop(fit, "")
            last = f"\r{line.ljust(self._length)}\n" if line else ""
            self._write(last + (f"{ending}\n" if ending else ""))
            self._length = 0
            self._draw()

    def _draw(self) -> None:
        line = next(iter(self._lines.values()), "")
        if line:
            self._write(f"\r{line.ljust(self._length)} ")
            self._length = len(line)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


_ROWS: WeakValueDictionary[int, TerminalRow] = WeakValueDictionary()
_ROWS_LOCK = Lock()


def row_of(stream: TextIO) -> TerminalRow:
    """The row that all who write to the stream meanwhile share."""
    with _ROWS_LOCK:  # a row keeps its stream, so no other stream has the same id while it lives
        return _ROWS.setdefault(id(stream), TerminalRow(stream))
