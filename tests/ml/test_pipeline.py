"""Estimators and models as stages of a ``Pipeline``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession

from sparkgd.classification import LogisticRegression, LogisticRegressionModel


@pytest.mark.smoke
def test_pipeline_and_its_model_are_saved_and_loaded(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(float(i % 2), float(i), float(i * i % 7)) for i in range(20)]
    df = spark.createDataFrame(rows, "label double, a double, b double")
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
    pipeline = Pipeline(stages=[assembler, LogisticRegression(regParam=0.1, initialCoefficients=[0.5, -0.5])])
    pipeline.save(str(tmp_path / "pipeline"))
    model = Pipeline.load(str(tmp_path / "pipeline")).fit(df)
    model.save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))

    classifier = loaded.stages[-1]
    assert isinstance(classifier, LogisticRegressionModel)
    np.testing.assert_array_equal(classifier.coefficients, model.stages[-1].coefficients)
    assert loaded.transform(df).collect() == model.transform(df).collect()
