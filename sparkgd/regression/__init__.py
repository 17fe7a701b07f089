"""Regressors, under the import paths of ``pyspark.ml.regression``; what is not ours is there as it is in Spark."""

from __future__ import annotations

from pyspark.ml.regression import (
    AFTSurvivalRegression as AFTSurvivalRegression,
)
from pyspark.ml.regression import (
    AFTSurvivalRegressionModel as AFTSurvivalRegressionModel,
)
from pyspark.ml.regression import (
    DecisionTreeRegressionModel as DecisionTreeRegressionModel,
)
from pyspark.ml.regression import (
    DecisionTreeRegressor as DecisionTreeRegressor,
)
from pyspark.ml.regression import (
    FMRegressionModel as FMRegressionModel,
)
from pyspark.ml.regression import (
    FMRegressor as FMRegressor,
)
from pyspark.ml.regression import (
    GBTRegressionModel as GBTRegressionModel,
)
from pyspark.ml.regression import (
    GBTRegressor as GBTRegressor,
)
from pyspark.ml.regression import (
    IsotonicRegression as IsotonicRegression,
)
from pyspark.ml.regression import (
    IsotonicRegressionModel as IsotonicRegressionModel,
)
from pyspark.ml.regression import (
    RandomForestRegressionModel as RandomForestRegressionModel,
)
from pyspark.ml.regression import (
    RandomForestRegressor as RandomForestRegressor,
)

from sparkgd.regression.generalized_linear_regression import (
    GeneralizedLinearRegression,
    GeneralizedLinearRegressionModel,
)
from sparkgd.regression.gradient_descent import GradientDescentRegressor, GradientDescentRegressorModel
from sparkgd.regression.linear_regression import LinearRegression, LinearRegressionModel
from sparkgd.regression.summaries import (
    GeneralizedLinearRegressionSummary,
    GeneralizedLinearRegressionTrainingSummary,
    LinearRegressionSummary,
    LinearRegressionTrainingSummary,
)

__all__ = [
    "GeneralizedLinearRegression",
    "GeneralizedLinearRegressionModel",
    "GeneralizedLinearRegressionSummary",
    "GeneralizedLinearRegressionTrainingSummary",
    "GradientDescentRegressor",
    "GradientDescentRegressorModel",
    "LinearRegression",
    "LinearRegressionModel",
    "LinearRegressionSummary",
    "LinearRegressionTrainingSummary",
]
