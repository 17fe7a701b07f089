"""Classifiers, under the import paths of ``pyspark.ml.classification``; what is not ours is there as it is in Spark."""

from __future__ import annotations

from pyspark.ml.classification import (
    BinaryRandomForestClassificationSummary as BinaryRandomForestClassificationSummary,
)
from pyspark.ml.classification import (
    BinaryRandomForestClassificationTrainingSummary as BinaryRandomForestClassificationTrainingSummary,
)
from pyspark.ml.classification import (
    DecisionTreeClassificationModel as DecisionTreeClassificationModel,
)
from pyspark.ml.classification import (
    DecisionTreeClassifier as DecisionTreeClassifier,
)
from pyspark.ml.classification import (
    FMClassificationModel as FMClassificationModel,
)
from pyspark.ml.classification import (
    FMClassificationSummary as FMClassificationSummary,
)
from pyspark.ml.classification import (
    FMClassificationTrainingSummary as FMClassificationTrainingSummary,
)
from pyspark.ml.classification import (
    FMClassifier as FMClassifier,
)
from pyspark.ml.classification import (
    GBTClassificationModel as GBTClassificationModel,
)
from pyspark.ml.classification import (
    GBTClassifier as GBTClassifier,
)
from pyspark.ml.classification import (
    MultilayerPerceptronClassificationModel as MultilayerPerceptronClassificationModel,
)
from pyspark.ml.classification import (
    MultilayerPerceptronClassificationSummary as MultilayerPerceptronClassificationSummary,
)
from pyspark.ml.classification import (
    MultilayerPerceptronClassificationTrainingSummary as MultilayerPerceptronClassificationTrainingSummary,
)
from pyspark.ml.classification import (
    MultilayerPerceptronClassifier as MultilayerPerceptronClassifier,
)
from pyspark.ml.classification import (
    NaiveBayes as NaiveBayes,
)
from pyspark.ml.classification import (
    NaiveBayesModel as NaiveBayesModel,
)
from pyspark.ml.classification import (
    OneVsRestModel as OneVsRestModel,
)
from pyspark.ml.classification import (
    RandomForestClassificationModel as RandomForestClassificationModel,
)
from pyspark.ml.classification import (
    RandomForestClassificationSummary as RandomForestClassificationSummary,
)
from pyspark.ml.classification import (
    RandomForestClassificationTrainingSummary as RandomForestClassificationTrainingSummary,
)
from pyspark.ml.classification import (
    RandomForestClassifier as RandomForestClassifier,
)

from sparkgd.classification.gradient_descent import GradientDescentClassifier, GradientDescentClassifierModel
from sparkgd.classification.linear_svc import LinearSVC, LinearSVCModel
from sparkgd.classification.logistic_regression import LogisticRegression, LogisticRegressionModel
from sparkgd.classification.one_vs_rest import OneVsRest
from sparkgd.classification.summaries import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LinearSVCSummary,
    LinearSVCTrainingSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
)

__all__ = [
    "BinaryLogisticRegressionSummary",
    "BinaryLogisticRegressionTrainingSummary",
    "GradientDescentClassifier",
    "GradientDescentClassifierModel",
    "LinearSVC",
    "LinearSVCModel",
    "LinearSVCSummary",
    "LinearSVCTrainingSummary",
    "LogisticRegression",
    "LogisticRegressionModel",
    "LogisticRegressionSummary",
    "LogisticRegressionTrainingSummary",
    "OneVsRest",
]
