"""The errors of `sparkgd.exceptions` as whoever knows pyspark raises them: its own ``except`` clauses catch them too.

``pyspark.ml`` refuses params and columns with an ``IllegalArgumentException``. Each class here is that and the class of
the same name, which cannot know pyspark because executors import it.
"""

from __future__ import annotations

from pyspark.errors import IllegalArgumentException

from sparkgd import exceptions


class InvalidParamError(exceptions.InvalidParamError, IllegalArgumentException):
    """A param has a value outside its allowed range."""

    def __init__(self, message: str) -> None:
        IllegalArgumentException.__init__(self, message)


class InvalidDataError(exceptions.InvalidDataError, IllegalArgumentException):
    """A column is missing, has the wrong type, or holds values that cannot be trained on."""

    def __init__(self, message: str) -> None:
        IllegalArgumentException.__init__(self, message)


class EmptyDataError(InvalidDataError):
    """There are no rows."""


class IncompatibleError(exceptions.IncompatibleError, IllegalArgumentException):
    """Two settings that are each valid cannot work together, such as a solver and a loss."""

    def __init__(self, message: str) -> None:
        IllegalArgumentException.__init__(self, message)
