"""Update rules: what a stochastic step makes of a gradient. Frozen settings; memory is an array (k, n)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkgd.solvers.base import Array

EPSILON = 1e-8
"""Keeps divisors above zero."""


class Update(ABC):
    """A rule for the move of one step.

    Attributes
    ----------
    arrays : int
        How many vectors it remembers.
    natural_step : float or None
        A good step size in scaled coordinates, for rules whose moves do not depend on the size of gradients; None:
        steps go by the curvature.
    """

    arrays: ClassVar[int] = 1
    natural_step: ClassVar[float | None] = None

    @property
    def gain(self) -> float:
        """How far a gradient moves the point in the end, in step sizes."""
        return 1.0

    def start(self, size: int) -> Array:
        """Memory before the first step."""
        return np.zeros((self.arrays, size))

    @abstractmethod
    def learn(self, memory: Array, gradient: Array, step_size: float) -> Array:
        """Memory after a gradient."""

    @abstractmethod
    def move(self, memory: Array, gradient: Array, step_size: float, step: int) -> Array:
        """Displacement of step number ``step`` (from 1), given the memory that has learned ``gradient``."""

    def prox_step(self, memory: Array, step_size: float, step: int) -> float | Array:
        """Step size, coordinate by coordinate where it differs, with which the penalty's prox goes along."""
        return step_size

    def moved(self, memory: Array, displacement: Array) -> Array:
        """Memory after the prox has made the move a ``displacement``."""
        return memory


@dataclass(frozen=True)
class Velocity(Update):
    """``velocity <- momentum * velocity - step_size * g``, from which a subclass makes the move."""

    momentum: float = 0.0

    @property
    def gain(self) -> float:
        return 1.0 / (1.0 - self.momentum)

    def learn(self, memory: Array, gradient: Array, step_size: float) -> Array:
        return -step_size * gradient[None, :] + self.momentum * memory


@dataclass(frozen=True)
class Momentum(Velocity):
    """The move is the velocity (heavy ball; Polyak, 1964)."""

    def move(self, memory: Array, gradient: Array, step_size: float, step: int) -> Array:
        return np.asarray(memory[0])

    def moved(self, memory: Array, displacement: Array) -> Array:
        return displacement[None, :]


@dataclass(frozen=True)
class NesterovMomentum(Velocity):
    """The velocity of `Momentum`, and the move looks one step ahead of it (Sutskever et al., 2013).

    ``move = momentum * velocity - step_size * g`` with the new velocity.
    """

    momentum: float = 0.9

    def move(self, memory: Array, gradient: Array, step_size: float, step: int) -> Array:
        return np.asarray(self.momentum * memory[0] - step_size * gradient)


@dataclass(frozen=True)
class AdaGrad(Update):
    """``-step_size * g / (sqrt(sum of g^2) + epsilon)``, entry by entry (Duchi, Hazan and Singer, 2011)."""

    natural_step: ClassVar[float | None] = 0.1

    def learn(self, memory: Array, gradient: Array, step_size: float) -> Array:
        return memory + gradient**2

    def move(self, memory: Array, gradient: Array, step_size: float, step: int) -> Array:
        return -self.prox_step(memory, step_size, step) * gradient

    def prox_step(self, memory: Array, step_size: float, step: int) -> Array:
        return np.asarray(step_size / (np.sqrt(memory[0]) + EPSILON))


@dataclass(frozen=True)
class Adam(Update):
    """``-step_size * mean / (sqrt(square) + epsilon)`` with decaying means of g and g^2, both unbiased (Kingma and Ba,
    2015).
    """

    momentum: float = 0.9
    square_momentum: float = 0.999
    arrays: ClassVar[int] = 2
    natural_step: ClassVar[float | None] = 0.05

    def learn(self, memory: Array, gradient: Array, step_size: float) -> Array:
        return np.stack(
            [
                self.momentum * memory[0] + (1.0 - self.momentum) * gradient,
                self.square_momentum * memory[1] + (1.0 - self.square_momentum) * gradient**2,
            ]
        )

    def move(self, memory: Array, gradient: Array, step_size: float, step: int) -> Array:
        mean = memory[0] / (1.0 - self.momentum**step)
        return np.asarray(-self.prox_step(memory, step_size, step) * mean)

    def prox_step(self, memory: Array, step_size: float, step: int) -> Array:
        square = memory[1] / (1.0 - self.square_momentum**step)
        return np.asarray(step_size / (np.sqrt(square) + EPSILON))


UPDATES: dict[str, Callable[[float], Update]] = {
    "momentum": Momentum,
    "nesterov": lambda momentum: NesterovMomentum(momentum or 0.9),
    "adagrad": lambda momentum: AdaGrad(),
    "adam": lambda momentum: Adam(momentum or 0.9),
}
"""Update rules by the name that users give them, made from the momentum; 0 stands for 0.9 in nesterov and adam."""
