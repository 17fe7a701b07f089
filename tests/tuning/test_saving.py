"""Validators and their models are copied, saved and loaded, the table of results with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import IncompatibleError
from sparkgd.tuning import (
    CrossValidator,
    CrossValidatorModel,
    TrainValidationSplit,
    TrainValidationSplitModel,
)  # fmt: skip
from tests.support.tuning import cross_validator, grid_of, split_validator

KINDS = {
    "cross-validation": (cross_validator, CrossValidator, CrossValidatorModel),
    "split": (split_validator, TrainValidationSplit, TrainValidationSplitModel),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def log_loss():
    return MulticlassClassificationEvaluator(metricName="logLoss")


def metrics_of(found) -> list[float]:
    return found.avgMetrics if hasattr(found, "avgMetrics") else found.validationMetrics


def assert_same_params(left, right) -> None:
    values = [{param.name: value for param, value in each.extractParamMap().items()} for each in (left, right)]
    for value in values:
        for name in ("estimator", "evaluator"):
            value[name] = value[name].uid
        maps = value.pop("estimatorParamMaps")
        value["maps"] = [{(p.parent, p.name): v for p, v in params.items()} for params in maps]
    assert values[0] == values[1]


def grid_of_pipeline():
    scaler, last = StandardScaler(inputCol="features", outputCol="scaled"), LogisticRegression(featuresCol="scaled")
    return Pipeline(stages=[scaler, last]), grid_of(last, regParam=[0.01, 1.0], fitIntercept=[True])


@each_kind
def test_a_validator_is_copied_saved_and_loaded(rows, tmp_path, kind):
    make, cls, _ = KINDS[kind]
    estimator, maps = grid_of_pipeline()
    validator = make(estimator, maps, log_loss(), stratify=True, collectSubModels=True, parallelism=2)
    validator.save(str(tmp_path / "validator"))
    loaded, copied = cls.load(str(tmp_path / "validator")), validator.copy()
    for other in (loaded, copied):
        assert type(other) is cls
        assert other.uid == validator.uid
        assert other.getStratify()
        assert_same_params(other, validator)
    assert metrics_of(loaded.fit(rows)) == metrics_of(validator.fit(rows))
    assert not validator.copy({validator.stratify: False}).getStratify()
    assert not type(validator)().getStratify()
    assert validator.setStratify(False) is validator
    with pytest.raises(Exception, match="already exists"):
        validator.save(str(tmp_path / "validator"))
    validator.write().overwrite().save(str(tmp_path / "validator"))


@each_kind
def test_a_model_is_saved_and_loaded_with_its_results_and_sub_models(rows, tmp_path, kind):
    make, _, cls = KINDS[kind]
    estimator, maps = grid_of_pipeline()
    found = make(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    assert type(found) is cls
    path = str(tmp_path / "model")
    found.save(path)
    loaded = cls.load(path)
    assert type(loaded) is cls
    assert loaded.uid == found.uid
    assert metrics_of(loaded) == metrics_of(found)
    assert_same_params(loaded, found)
    pd.testing.assert_frame_equal(loaded.results, found.results)
    assert type(loaded.bestModel) is PipelineModel
    assert loaded.transform(rows).collect() == found.transform(rows).collect()
    for mine, other in zip(np.ravel(loaded.subModels), np.ravel(found.subModels), strict=True):
        assert mine.stages[-1].coefficients == other.stages[-1].coefficients
        assert repr(mine.stages[-1].summary) == repr(other.stages[-1].summary)
    if kind == "cross-validation":
        assert loaded.stdMetrics == found.stdMetrics
    found.write().overwrite().option("persistSubModels", "false").save(path)
    loaded = cls.load(path)
    assert loaded.subModels is None
    with pytest.raises(IncompatibleError, match="persistSubModels needs sub-models; set collectSubModels before fit"):
        loaded.write().overwrite().option("persistSubModels", "true").save(path)


@each_kind
def test_a_copy_of_a_model_is_its_own(rows, kind):
    make, _, cls = KINDS[kind]
    estimator = LogisticRegression()
    found = make(estimator, grid_of(estimator, regParam=[0.01, 1.0]), log_loss(), collectSubModels=True).fit(rows)
    copied = found.copy({found.bestModel.predictionCol: "guess"})
    assert type(copied) is cls
    assert "guess" in copied.transform(rows).columns
    assert "guess" not in found.transform(rows).columns
    copied.results.loc[0, "metric"] = 7.0
    metrics_of(copied)[0] = 7.0
    assert found.results["metric"][0] != 7.0
    assert metrics_of(found)[0] != 7.0
    assert np.shape(copied.subModels) == np.shape(found.subModels)
    assert len(np.ravel(copied.subModels)) == 2 * found.results["fold"].nunique()


@pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning")
@each_kind
def test_a_model_whose_grid_failed_in_part_is_saved_with_the_sub_models_that_there_are(rows, tmp_path, kind):
    make, _, cls = KINDS[kind]
    estimator = LogisticRegression(elasticNetParam=0.5, regParam=0.1)
    maps = grid_of(estimator, solver=["localSGD", "auto"])
    found = make(estimator, maps, log_loss(), collectSubModels=True).fit(rows)
    path = str(tmp_path / "model")
    found.save(path)
    loaded = cls.load(path)
    for other in (loaded, found.copy()):
        missing = [model is None for model in np.ravel(other.subModels)]
        assert missing == [True, False] * (len(missing) // 2)
    np.testing.assert_array_equal(metrics_of(loaded), metrics_of(found))
    assert np.isnan(metrics_of(loaded)[0])
    pd.testing.assert_frame_equal(loaded.results, found.results)


def test_results_of_every_kind_of_value_are_loaded(rows, tmp_path):
    estimator = LogisticRegression()
    maps = [
        {estimator.featuresCols: ["a", "b"], estimator.tol: 1e-8},
        {estimator.standardization: False, estimator.maxIter: 50, estimator.solver: "newton"},
    ]
    found = cross_validator(estimator, maps, log_loss()).fit(rows)
    found.save(str(tmp_path / "model"))
    loaded = CrossValidatorModel.load(str(tmp_path / "model"))
    pd.testing.assert_frame_equal(loaded.results, found.results)
