"""A loss of the user's own, written in NumPy."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import optimize

from sparkgd.exceptions import IncompatibleError, InvalidParamError, ModelFormatError
from sparkgd.losses.base import Array, LabelRange, LabelSummary, Loss
from sparkgd.losses.check import check_loss

FURTHEST = 1e12
"""Raw predictions beyond this are not searched for a null model."""


class OwnLoss(Protocol):
    """What a user writes: an object with these two functions of arrays of one shape, element by element.

    They must depend on nothing but their arguments and change nothing: several threads call them at once.

    It may also have

    - ``curvature(label, raw_prediction)``, the second derivative, which Newton's methods need;
    - ``inverse_link(raw_prediction)``, the prediction that a raw prediction stands for (by default itself);
    - ``label_range = (low, high)`` (by default all finite labels) or a `LabelRange`;
    - ``curvature_bound``, a number that the second derivative never exceeds;
    - ``is_convex = False`` or ``is_smooth = False`` where that is so; both are true by default;
    - ``null_intercept``, the raw prediction that models start from (by default the best for the label's mean).
    """

    def value(self, label: Array, raw_prediction: Array) -> Array:
        """``l(y, z)``."""
        ...

    def derivative(self, label: Array, raw_prediction: Array) -> Array:
        """``dl/dz``."""
        ...


@dataclass(frozen=True, eq=False)
class CustomLoss(Loss):
    """The user's object as a `Loss`; use `custom_loss`, which also checks it.

    Equal where the objects are: of one class, with equal attributes.

    Parameters
    ----------
    own : OwnLoss
    """

    own: OwnLoss

    @property
    def name(self) -> str:
        return type(self.own).__name__

    @property
    def is_smooth(self) -> bool:  # type: ignore[override]
        return bool(getattr(self.own, "is_smooth", True))

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        return bool(getattr(self.own, "is_convex", True))

    @property
    def has_curvature(self) -> bool:
        return hasattr(self.own, "curvature")

    @property
    def label_range(self) -> LabelRange:
        given = getattr(self.own, "label_range", LabelRange())
        return given if isinstance(given, LabelRange) else LabelRange(float(given[0]), float(given[1]))

    @property
    def curvature_bound(self) -> float | None:
        given = getattr(self.own, "curvature_bound", None)
        return None if given is None else float(given)

    def value_and_derivative(self, label: Array, raw_prediction: Array) -> tuple[Array, Array]:
        label = np.broadcast_to(label, raw_prediction.shape)
        value, derivative = self.own.value(label, raw_prediction), self.own.derivative(label, raw_prediction)
        return np.asarray(value, dtype=np.float64), np.asarray(derivative, dtype=np.float64)

    def curvature(self, label: Array, raw_prediction: Array) -> Array:
        if not self.has_curvature:
            return super().curvature(label, raw_prediction)
        own: Any = self.own
        return np.asarray(own.curvature(np.broadcast_to(label, raw_prediction.shape), raw_prediction))

    def inverse_link(self, raw_prediction: Array) -> Array:
        inverse = getattr(self.own, "inverse_link", None)
        return raw_prediction if inverse is None else np.asarray(inverse(raw_prediction))

    def null_intercept(self, label: LabelSummary) -> Array:
        given = getattr(self.own, "null_intercept", None)
        return np.array([self._zero_slope(label.mean) if given is None else float(given)])

    def _zero_slope(self, label: float) -> float:
        """Raw prediction at which the derivative for ``label`` changes sign; 0 where none is found."""

        def slope(raw_prediction: float) -> float:
            return float(self.value_and_derivative(np.array([label]), np.array([raw_prediction]))[1][0])

        reach = 1.0
        with np.errstate(all="ignore"):
            while reach < FURTHEST and not slope(-reach) < 0.0 < slope(reach):
                reach *= 2.0
            return float(optimize.brentq(slope, -reach, reach)) if reach < FURTHEST else 0.0

    def typical_curvature(self, label: LabelSummary) -> float:
        if self.curvature_bound is None and not self.has_curvature:
            return 1.0
        return super().typical_curvature(label)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CustomLoss) and _content(self.own) == _content(other.own)

    def __hash__(self) -> int:
        return hash(type(self.own).__qualname__)


def _content(own: object) -> tuple[type, dict[str, object]]:
    return type(own), dict(getattr(own, "__dict__", {}))


def as_loss(own: OwnLoss | Loss) -> Loss:
    """The user's object as a `Loss`, not checked numerically; a `Loss` is returned as it is.

    Raises
    ------
    InvalidParamError
        If a function is missing.
    """
    if isinstance(own, Loss):
        return own
    if isinstance(own, type):
        raise InvalidParamError(f"the loss is the class {own.__name__}; give an object of it: {own.__name__}()")
    for function in ("value", "derivative"):
        if not callable(getattr(own, function, None)):
            raise InvalidParamError(
                f"a loss needs the functions value(label, raw_prediction) and derivative(label, raw_prediction); "
                f"{type(own).__name__} has no {function}"
            )
    return CustomLoss(own)


def custom_loss(own: OwnLoss | Loss) -> Loss:
    """The user's loss, checked numerically; an object that is a `Loss` already is returned as it is.

    Raises
    ------
    InvalidParamError
        If a function is missing, returns arrays of the wrong shape, or is not the derivative of the one before it, at a
        point that the message names.
    """
    loss = as_loss(own)
    if loss is not own:
        check_loss(loss)
    return loss


def load_loss(path: str) -> OwnLoss:
    """The object that ``"module:Name"`` names; where that is a class, an object of it made without arguments.

    Raises
    ------
    ModelFormatError
        If the path is not of that form, nothing can be imported from it, or what it names has not the functions of a
        loss.
    """
    module_name, name = _parts(path)
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        if not all(callable(getattr(found, function, None)) for function in _functions(found)):
            raise ModelFormatError(f"{path!r} is no loss: it has not the functions {' and '.join(_functions(found))}")
        made: OwnLoss = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise ModelFormatError(
            f"the loss {path!r} cannot be imported ({error}). Put the file of its module on the Python path of the "
            "driver and of the executors (spark.submit.pyFiles)"
        ) from error
    return made


def _parts(path: str) -> tuple[str, str]:
    """Module and name of an import path."""
    module_name, _, name = path.partition(":")
    if not (module_name and name):
        raise ModelFormatError(f"{path!r} is no import path of a loss; it must look like 'package.module:Name'")
    return module_name, name


def _functions(found: Any) -> tuple[str, ...]:
    """What a loss, or a class of losses, must have before anything of it is called."""
    is_ours = isinstance(found, Loss) or (isinstance(found, type) and issubclass(found, Loss))
    return ("value_and_derivative",) if is_ours else ("value", "derivative")


def check_imported(path: str, where: str) -> None:
    """Refuse an import path that a file names, unless the program has imported its module.

    Who loads a file does not choose what it names: to import that would be to run whatever code is found there.

    Raises
    ------
    ModelFormatError
    """
    module_name, _ = _parts(path)
    if module_name not in sys.modules:
        raise ModelFormatError(
            f"{where} names the loss {path!r}, and its module is not imported: to do so would run the module's code. "
            f"If you trust it, import {module_name} before loading"
        )


def import_path(own: OwnLoss) -> str:
    """The path from which `load_loss` makes an equal object.

    Raises
    ------
    IncompatibleError
        If there is none: the class is defined in a notebook, in a script or in a function, or the object has settings
        that its class does not have by default.
    """
    kind = type(own)
    path = f"{kind.__module__}:{kind.__qualname__}"
    refusal = f"the loss {kind.__qualname__} cannot be saved by its import path {path!r}"
    if kind.__module__ == "__main__" or "<" in kind.__qualname__:
        raise IncompatibleError(
            f"{refusal}: it is defined in a notebook, a script or a function. Move its class to a module of its own"
        )
    try:
        again = load_loss(path)
    except ModelFormatError as error:
        raise IncompatibleError(f"{refusal}: {error}") from error
    if _content(again) != _content(own):
        raise IncompatibleError(
            f"{refusal}: it has settings that {kind.__qualname__}() does not have. Give them as defaults in a subclass"
        )
    return path
