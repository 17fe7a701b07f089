"""Warnings that point at the user's own line, however many of the library's calls lie between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

OURS = ("sparkgd", "pyspark", "numpy", "contextlib")
"""Packages whose lines are of no interest to who is warned: an estimator is called through pyspark's base classes, and
much of it runs within decorators and contexts.
"""


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into the library."""
    level, frame = 2, _caller()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _caller() -> FrameType | None:
    """Where `warn` was called."""
    return sys._getframe(2)
