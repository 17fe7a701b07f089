"""Where plots are drawn, with matplotlib (an optional dependency)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def given_or_new(ax: Axes | None, width: float = 7.0, height: float = 4.0) -> Axes:
    """The axes themselves; where there are none, those of a new figure of that size in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'sparkgd[plot]'") from error
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax
