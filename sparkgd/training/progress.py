"""A live line of text about a fit under way."""

from __future__ import annotations

import sys
from typing import TextIO

from sparkgd.training.loop import Record

WIDTH = 24


class ProgressLine:
    """Callback that rewrites one line per round: bar, iteration, objective, gradient norm, seconds a round.

    Works in terminals and in notebooks, which both honour a carriage return.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream
        self._length = 0

    def __call__(self, record: Record) -> None:
        """Rewrite the line."""
        done = min(max(record.iteration, 0) / max(record.max_iterations, 1), 1.0)
        bar = "#" * round(WIDTH * done)
        line = (
            f"{self._name} [{bar:<{WIDTH}}] iteration {max(record.iteration, 0)}/{record.max_iterations}, "
            f"round {record.round}, objective {record.objective:.6g}, gradient {record.gradient_norm:.2e}, "
            f"{record.seconds:.2f} s/round"
        )
        self._write("\r" + line.ljust(self._length))
        self._length = len(line)

    def close(self, ending: str = "") -> None:
        """End the line, with the fit's ending."""
        self._write(f"\n{ending}\n" if ending else "\n")

    def _write(self, text: str) -> None:
        stream = sys.stderr if self._stream is None else self._stream
        stream.write(text)
        stream.flush()
