"""Every error and warning that sparkgd raises on purpose.

A message says what was given, what is allowed and what to do next.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointWarning",
    "ConstantLabelWarning",
    "ConvergenceWarning",
    "DamagedCheckpointError",
    "DiskFullError",
    "DivergedError",
    "ForeignDataError",
    "ForeignParamsError",
    "IncompatibleError",
    "InvalidDataError",
    "InvalidParamError",
    "KernelError",
    "ModelFormatError",
    "NoTrainingRowsError",
    "SparkGDError",
    "WorkerPythonError",
]


class SparkGDError(Exception):
    """Base class of all errors raised by sparkgd."""


class InvalidParamError(SparkGDError, ValueError):
    """A param has a value outside its allowed range."""


class InvalidDataError(SparkGDError, ValueError):
    """A column is missing, has the wrong type, or holds values that cannot be trained on."""


class IncompatibleError(SparkGDError, TypeError):
    """Two settings that are each valid cannot work together, such as a solver and a loss."""


class CheckpointError(SparkGDError):
    """A checkpoint cannot be written or read, or belongs to another fit."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint is cut short, or its checksum does not hold."""


class CheckpointFormatError(CheckpointError):
    """A checkpoint is of a newer format, of another version of the library, or none at all."""


class ForeignDataError(CheckpointError):
    """A checkpoint belongs to a fit of other data."""


class ForeignParamsError(CheckpointError):
    """A checkpoint belongs to a fit with other params."""


class ModelFormatError(SparkGDError):
    """A saved model directory is not of the expected format."""


class NoTrainingRowsError(SparkGDError, RuntimeError):
    """The summary of a loaded model was asked for what only the rows of the fit could tell."""


class KernelError(SparkGDError, RuntimeError):
    """What a round makes of the rows failed, such as a user's own loss."""


class WorkerPythonError(SparkGDError, RuntimeError):
    """The Python that Spark starts on executors lacks a package, is of another version, or is not there."""


class DiskFullError(SparkGDError, OSError):
    """A local disk has no room for the rows that are packed on it."""


class DivergedError(SparkGDError, ArithmeticError):
    """The objective left the finite numbers.

    Attributes
    ----------
    last_good_coef : numpy.ndarray of shape (size,)
        The raw coefficients (weights, then intercepts) of the last point with a finite objective.
    """

    def __init__(self, message: str, last_good_coef: object = None) -> None:
        super().__init__(message)
        self.last_good_coef = last_good_coef


class ConvergenceWarning(UserWarning):
    """A fit ended before its convergence test was met."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written, or was skipped because it is damaged."""


class ConstantLabelWarning(UserWarning):
    """All training rows have the same label."""
