"""A live line of text about a fit under way."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from types import TracebackType

from sparkgd.ml.display.screens import Screen, current_screen
from sparkgd.solvers.base import Ending
from sparkgd.training.loop import Callback, Record

EXPENDABLE = ("seconds", "round", "name", "bar", "gradient")
"""What a line too long for its screen leaves out, in this order."""


class ProgressLine:
    """Callback that shows a bar, iteration, objective, gradient norm and seconds a round on one line.

    The bar shows how far the gradient norm has come, on a logarithmic scale, from where it was at the start to where
    the fit has converged; or the share of the iterations, if that is more. A context manager, which ends the line.

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
        self._first_norm = math.nan
        self._done = 0.0
        self._shown_at = -math.inf
        self._ending = ""

    def __enter__(self) -> ProgressLine:
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
        self._done = max(self._done, self._share(record))
        now = time.monotonic()
        if self._screen.is_blank or now - self._shown_at >= self._screen.interval:
            self._shown_at = now
            self._screen.show(self._line(record))

    def around(self, callbacks: Sequence[Callback]) -> list[Callback]:
        """The callbacks with the line making room for what they may print or warn."""
        return [self._make_room, *callbacks, self] if callbacks else [self]

    def finish(self, ending: Ending) -> None:
        """Say how the fit ended, below the line."""
        self._ending = f"{ending.status.value}: {ending.reason}"

    def _make_room(self, record: Record) -> None:
        self._screen.clear()

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
        """The most important parts that the screen has room for, of steady width so that they do not jump."""
        screen, most = self._screen, str(record.max_iterations)
        iteration, objective, norm = _reached(record)
        parts = {
            "name": self._name,
            "bar": f"[{screen.bar_mark * round(screen.bar_length * self._done):<{screen.bar_length}}]",
            "stage": f"preparing: {record.stage}" if record.iteration < 0 else "",
            "iteration": f"iteration {max(iteration, 0):>{len(most)}}/{most}",
            "objective": f"objective {objective:<9.6g}",
            "gradient": f"gradient {norm:.1e}",
            "round": f"round {record.round}",
            "seconds": f"{record.seconds:.3f} s/round",
        }
        if not parts["stage"]:
            del parts["stage"]
        if not screen.bar_length:
            del parts["bar"]
        for name in EXPENDABLE:
            if len("  ".join(parts.values())) > screen.width:
                parts.pop(name, None)
        return "  ".join(parts.values())[: screen.width]


def _reached(record: Record) -> tuple[int, float, float]:
    """Iteration, objective and gradient norm, over all rows or of the stage that prepares these."""
    preparing = record.preparing
    if record.iteration >= 0 or preparing is None or not preparing.objectives:
        return record.iteration, record.objective, record.gradient_norm
    return preparing.iteration, preparing.objectives[-1], preparing.gradient_norms[-1]
