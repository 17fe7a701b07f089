"""Choice of params, under the import paths of ``pyspark.ml.tuning``."""

from __future__ import annotations

from pyspark.ml.tuning import ParamGridBuilder

from sparkgd.ml.path import RegParamPath
from sparkgd.tuning.validator_models import CrossValidatorModel, TrainValidationSplitModel
from sparkgd.tuning.validators import CrossValidator, TrainValidationSplit

__all__ = [
    "CrossValidator",
    "CrossValidatorModel",
    "ParamGridBuilder",
    "RegParamPath",
    "TrainValidationSplit",
    "TrainValidationSplitModel",
]
