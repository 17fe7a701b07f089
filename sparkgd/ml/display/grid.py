"""A live line of text about many fits that run side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sparkgd.ml.display.progress import LiveLine
from sparkgd.ml.display.screens import Screen
from sparkgd.training.loop import Record

EXPENDABLE = ("seconds", "round", "bar", "name")
"""What a line too long for its screen leaves out, in this order."""


class GridLine(LiveLine):
    """Shows a bar, how many models are done, and which is the best so far by its loss on held-out rows.

    Parameters
    ----------
    name : str
        Of what is trained.
    total : int
        Number of models.
    label : callable, optional
        What models are called that compete, given their number; those of several folds have the same name.
    screen : Screen, optional
    """

    def __init__(
        self,
        name: str,
        total: int,
        label: Callable[[int], str] | None = None,
        screen: Screen | None = None,
    ) -> None:
        super().__init__(name, screen)
        self._total, self._label = total, label
        self._done: set[int] = set()
        self._losses: dict[int, float] = {}

    def _note(self, record: Record) -> None:
        if not math.isnan(record.held_out_loss):
            self._losses[record.model] = record.held_out_loss
        note = self._done.discard if record.ending is None else self._done.add  # one that has paused may go on
        note(record.model)

    def _line(self, record: Record) -> str:
        done = len(self._done)
        parts = {
            "name": self._name,
            "bar": self._bar(done / self._total),
            "done": f"{done:>{len(str(self._total))}}/{self._total} models",
            "stage": f"preparing: {record.stage}" if not done and record.iteration < 0 else "",
            "best": self._best(),
            "round": f"round {record.round}",
            "seconds": f"{record.seconds:.3f} s/round",
        }
        return self._joined(parts, EXPENDABLE)

    def _best(self) -> str:
        """The name with the least mean loss on held-out rows so far."""
        if self._label is None or not self._losses:
            return ""
        by_name: dict[str, list[float]] = {}
        for number, loss in self._losses.items():
            by_name.setdefault(self._label(number), []).append(loss)
        means = {name: _mean(losses) for name, losses in by_name.items()}
        best = min(means, key=lambda name: means[name])
        return f"best so far {best} (held-out loss {means[best]:.6g})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
