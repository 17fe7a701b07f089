"""Step sizes as functions of the step's number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol


class Schedule(Protocol):
    """A step-size schedule."""

    def step_size(self, step: int) -> float:
        """Size of step number ``step``, counted from 1."""
        ...


@dataclass(frozen=True)
class Constant:
    """``step_size``"""

    initial: float

    def step_size(self, step: int) -> float:
        return self.initial


@dataclass(frozen=True)
class InverseSqrt:
    """``initial / sqrt(t)``, the schedule of MLlib's legacy ``GradientDescent``."""

    initial: float

    def step_size(self, step: int) -> float:
        return self.initial / sqrt(step)


@dataclass(frozen=True)
class InverseScaling:
    """``initial / t^power``"""

    initial: float
    power: float = 0.25

    def step_size(self, step: int) -> float:
        return float(self.initial / step**self.power)


SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "constant": Constant,
    "inverseSqrt": InverseSqrt,
    "inverseScaling": InverseScaling,
}
"""Schedules by the name that users give them, made from an initial step size."""
