"""Params of the validators beyond those of ``pyspark.ml.tuning``."""

from __future__ import annotations

import math
from typing import Any

from pyspark.ml.param import Param, Params, TypeConverters

from sparkgd.ml.errors import InvalidParamError
from sparkgd.ml.params.shared import value_or_none
from sparkgd.tuning.halving import Halving

OWN = ("stratify", "halvingFactor", "halvingMinIter")
"""Their names."""


class HasStratify(Params):
    """Folds with the same share of every label."""

    stratify: Param[bool] = Param(
        Params._dummy(),
        "stratify",
        "whether every fold has its share of the rows of each label (as good as: up to a row or two in a partition)",
        TypeConverters.toBoolean,
    )

    def getStratify(self) -> bool:
        """Value of ``stratify``."""
        return bool(self.getOrDefault("stratify"))

    def setStratify(self, value: bool) -> Any:
        """Set ``stratify``; returns the object itself."""
        return self._set(stratify=value)


class HasHalving(Params):
    """Maps that are retired before their training is over, so that a large grid costs less."""

    halvingFactor: Param[float] = Param(
        Params._dummy(),
        "halvingFactor",
        "of so many param maps one goes on, for so many times the iterations (> 1); not set: all are trained to the "
        "end",
        TypeConverters.toFloat,
    )
    halvingMinIter: Param[int] = Param(
        Params._dummy(),
        "halvingMinIter",
        "iterations of all maps before any is retired (>= 1); not set: maxIter divided by halvingFactor for each time "
        "that maps are compared",
        TypeConverters.toInt,
    )

    def getHalvingFactor(self) -> float:
        """Value of ``halvingFactor``."""
        return float(self.getOrDefault("halvingFactor"))

    def setHalvingFactor(self, value: float) -> Any:
        """Set ``halvingFactor``; returns the object itself."""
        return self._set(halvingFactor=value)

    def getHalvingMinIter(self) -> int:
        """Value of ``halvingMinIter``."""
        return int(self.getOrDefault("halvingMinIter"))

    def setHalvingMinIter(self, value: int) -> Any:
        """Set ``halvingMinIter``; returns the object itself."""
        return self._set(halvingMinIter=value)

    def _halving(self) -> Halving | None:
        """How maps are retired, None if they are not.

        Raises
        ------
        InvalidParamError
        """
        factor, first = value_or_none(self, "halvingFactor"), value_or_none(self, "halvingMinIter")
        if factor is None:
            if first is not None:
                raise InvalidParamError("halvingMinIter is of use only with halvingFactor; set that too, such as to 3")
            return None
        if not 1.0 < factor < math.inf:
            raise InvalidParamError(f"halvingFactor={factor:g} must be greater than 1 and finite; 3 is usual")
        if first is not None and first < 1:
            raise InvalidParamError(f"halvingMinIter={first} must be at least 1")
        return Halving(factor, first)
