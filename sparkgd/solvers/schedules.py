"""Step sizes as functions of the step's number and, for one of them, of the values seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi, sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]

NOTHING: Array = np.zeros(0)


class Schedule(ABC):
    """A step-size schedule: frozen settings; what it remembers is an array that the solver's state keeps."""

    @abstractmethod
    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        """Size of step number ``step``, counted from 1."""

    def start(self) -> Array:
        """What it remembers at the start."""
        return NOTHING

    def heard(self, memory: Array, value: float) -> Array:
        """What it remembers after the value of f (or of a batch) at one more point."""
        return memory

    def over(self, horizon: int) -> Schedule:
        """The schedule for a fit of ``horizon`` steps, where that matters."""
        return self


@dataclass(frozen=True)
class Constant(Schedule):
    """``step_size``"""

    initial: float

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        return self.initial


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """``initial / sqrt(t)``, the schedule of MLlib's legacy ``GradientDescent``."""

    initial: float

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        return self.initial / sqrt(step)


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """``initial / t^power``"""

    initial: float
    power: float = 0.25

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        return float(self.initial / step**self.power)


@dataclass(frozen=True)
class Exponential(Schedule):
    """``initial * last^((t - 1) / horizon)``: falls to the share ``last`` of the first step over the whole fit."""

    initial: float
    last: float = 0.01
    horizon: int = 100

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        return float(self.initial * self.last ** ((step - 1) / self.horizon))

    def over(self, horizon: int) -> Exponential:
        return replace(self, horizon=max(horizon, 1))


@dataclass(frozen=True)
class Cosine(Schedule):
    """``initial * (1 + cos(pi (t - 1) / horizon)) / 2``: half a wave over the whole fit (Loshchilov and Hutter, 2017).

    Steps after the horizon are as small as the last one before it.
    """

    initial: float
    horizon: int = 100

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        share = min(step - 1, self.horizon - 1) / self.horizon
        return 0.5 * self.initial * (1.0 + cos(pi * share))

    def over(self, horizon: int) -> Cosine:
        return replace(self, horizon=max(horizon, 1))


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """Shrinks by ``factor`` when the mean of the last ``window`` values is not below that of the window before.

    Its memory is the current share of ``initial``, the mean of the last full window (inf before there is one), and sum
    and number of the values since.
    """

    initial: float
    factor: float = 0.5
    window: int = 10

    def start(self) -> Array:
        return np.array([1.0, np.inf, 0.0, 0.0])

    def step_size(self, step: int, memory: Array = NOTHING) -> float:
        return self.initial * float(memory[0]) if len(memory) else self.initial

    def heard(self, memory: Array, value: float) -> Array:
        share, before, total, count = memory
        total, count = total + value, count + 1.0
        if count < self.window:
            return np.array([share, before, total, count])
        mean = total / count
        return np.array([share if mean < before else share * self.factor, mean, 0.0, 0.0])


SCHEDULES: dict[str, Callable[[float], Schedule]] = {
    "constant": Constant,
    "inverseSqrt": InverseSqrt,
    "inverseScaling": InverseScaling,
    "exponential": Exponential,
    "cosine": Cosine,
    "adaptive": OnPlateau,
}
"""Schedules by the name that users give them, made from an initial step size."""
