"""A live line of text about fits under way."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TypeVar

from sparkgd.ml.display.screens import Screen, current_screen
from sparkgd.training.loop import Callback, Record

LineT = TypeVar("LineT", bound="LiveLine")

EXPENDABLE = ("seconds", "round", "name", "bar", "gradient")
"""What a line too long for its screen leaves out, in this order."""


class LiveLine(ABC):
    """Callback that shows one line about what is trained, and rewrites it; a context manager, which ends it.

    Parameters
    ----------
    name : str
        Of what is trained.
    screen : Screen, optional
        Where to show it; by default the notebook, the terminal or the log that stderr goes to.
    """

    def __init__(self, name: str, screen: Screen | None = None) -> None:
        self._name = name
        self._screen = current_screen() if screen is None else screen
        self._record: Record | None = None
        self._shown_at = -math.inf
        self._ending = ""

    def __enter__(self: LineT) -> LineT:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._record is not None:
            self._screen.show(self._line(self._record))
        self._screen.end(self._ending)

    def __call__(self, record: Record) -> None:
        """Show the state after a round, unless the last line is too recent."""
        self._record = record
        self._note(record)
        now = time.monotonic()
        if self._screen.is_blank or now - self._shown_at >= self._screen.interval:
            self._shown_at = now
            self._screen.show(self._line(record))

    def around(self, callbacks: Sequence[Callback]) -> list[Callback]:
        """The callbacks with the line making room for what they may print or warn."""
        return [self._make_room, *callbacks, self] if callbacks else [self]

    def finish(self, ending: str) -> None:
        """Say how it ended, below the line."""
        self._ending = ending

    def _make_room(self, record: Record) -> None:
        self._screen.clear()

    @abstractmethod
    def _note(self, record: Record) -> None:
        """Remember what the line needs of a round."""

    @abstractmethod
    def _line(self, record: Record) -> str:
        """The line after a round."""

    def _bar(self, done: float) -> str:
        """A bar of which a share is filled; empty where bars make no sense."""
        length = self._screen.bar_length
        return f"[{self._screen.bar_mark * round(length * done):<{length}}]" if length else ""

    def _joined(self, parts: dict[str, str], expendable: Sequence[str]) -> str:
        """The parts that the screen has room for, which leaves out the expendable ones in this order."""
        shown = {name: text for name, text in parts.items() if text}
        for name in expendable:
            if len("  ".join(shown.values())) > self._screen.width:
                shown.pop(name, None)
        return "  ".join(shown.values())[: self._screen.width]


class ProgressLine(LiveLine):
    """Shows a bar, iteration, objective, gradient norm and seconds a round of one fit.

    The bar shows how far the gradient norm has come, on a logarithmic scale, from where it was at the start to where
    the fit has converged; or the share of the iterations, if that is more.
    """

    def __init__(self, name: str, screen: Screen | None = None) -> None:
        super().__init__(name, screen)
        self._first_norm = math.nan
        self._done = 0.0

    def _note(self, record: Record) -> None:
        self._done = max(self._done, self._share(record))

    def _share(self, record: Record) -> float:
        """How much of the way over all rows is done, from 0 to 1."""
        done = max(record.iteration, 0) / max(record.max_iterations, 1)
        norm, limit = record.gradient_norm, record.gradient_limit
        if math.isnan(norm):
            return 0.0
        if math.isnan(self._first_norm):
            self._first_norm = norm
        if norm <= limit:
            return 1.0
        if 0.0 < limit < self._first_norm < math.inf and norm < math.inf:
            done = max(done, math.log(self._first_norm / norm) / math.log(self._first_norm / limit))
        return min(done, 1.0)

    def _line(self, record: Record) -> str:
        """The most important parts, of steady width so that they do not jump."""
        most = str(record.max_iterations)
        iteration, objective, norm = _reached(record)
        parts = {
            "name": self._name,
            "bar": self._bar(self._done),
            "stage": f"preparing: {record.stage}" if record.iteration < 0 else "",
            "iteration": f"iteration {max(iteration, 0):>{len(most)}}/{most}",
            "objective": f"objective {objective:<9.6g}",
            "gradient": f"gradient {norm:.1e}",
            "round": f"round {record.round}",
            "seconds": f"{record.seconds:.3f} s/round",
        }
        return self._joined(parts, EXPENDABLE)


def _reached(record: Record) -> tuple[int, float, float]:
    """Iteration, objective and gradient norm, over all rows or of the stage that prepares these."""
    preparing = record.preparing
    if record.iteration >= 0 or preparing is None or not preparing.objectives:
        return record.iteration, record.objective, record.gradient_norm
    return preparing.iteration, preparing.objectives[-1], preparing.gradient_norms[-1]
