"""Folds: row by row those of ``pyspark.ml.tuning``, those that a column numbers, and stratified ones."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression as MLlibLogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StandardScaler
from pyspark.ml.tuning import CrossValidator as StockCrossValidator
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.exceptions import InvalidDataError, InvalidParamError
from sparkgd.ml.fitting import packed
from sparkgd.tuning import CrossValidator, TrainValidationSplit
from sparkgd.tuning.folds import NEVER, dealt_folds, given_folds, random_folds, random_split, stratified_folds
from tests.support.frames import frame
from tests.support.leftovers import nothing_left

RNG = np.random.default_rng(12)
ROWS = 300
LABEL = RNG.choice([0.0, 1.0, 2.0], ROWS, p=[0.7, 0.25, 0.05])
PLACES = np.arange(ROWS, dtype=float)
"""The rows' numbers."""


@pytest.fixture(scope="module")
def df(spark):
    data = frame(spark, RNG.normal(size=(ROWS, 2)), LABEL, 3, row=PLACES, given=PLACES % 3).cache()
    data.count()
    yield data
    data.unpersist()


def fold_of_each(divided, name="fold") -> np.ndarray:
    return np.array([fold for _, fold in sorted(divided.select("row", name).collect())])


def numbered(pairs) -> np.ndarray:
    """The fold of each row, of pyspark's pairs of training and validation rows; each pair is a division."""
    folds = np.full(ROWS, NEVER)
    for fold, (train, held_out) in enumerate(pairs):
        rows = [int(row.row) for row in held_out.select("row").collect()]
        assert sorted(rows + [int(row.row) for row in train.select("row").collect()]) == list(range(ROWS))
        folds[rows] = fold
    return folds


@pytest.mark.parametrize(("folds", "seed"), [(2, 0), (5, -7382498127634)])
def test_random_folds_are_those_of_pyspark_row_by_row(df, folds, seed):
    stock = StockCrossValidator(numFolds=folds, seed=seed)
    mine = fold_of_each(random_folds(df, "fold", folds, seed))
    np.testing.assert_array_equal(mine, numbered(stock._kFold(df)))
    assert set(mine) == set(range(folds))
    assert np.any(mine != fold_of_each(random_folds(df, "fold", folds, seed + 1)))


@pytest.mark.parametrize("ratio", [0.2, 0.75])
def test_a_random_split_is_that_of_pyspark_row_by_row(df, ratio):
    drawn = df.select("*", F.rand(9).alias("draw"))  # as TrainValidationSplit has it, in the middle of its fit
    held_out = drawn.filter(drawn["draw"] >= ratio)
    mine = fold_of_each(random_split(df, "fold", ratio, 9))
    np.testing.assert_array_equal(mine, numbered([(drawn.filter(drawn["draw"] < ratio), held_out)]))
    assert 0.5 * (1.0 - ratio) < np.mean(mine == 0) < 2.0 * (1.0 - ratio)


def test_folds_add_one_column_and_leave_the_others_alone(df):
    for divided in (
        random_folds(df, "fold", 3, 1),
        random_split(df, "fold", 0.5, 1),
        given_folds(df, "fold", "given", 3),
        stratified_folds(df, "fold", "label", (0.5, 0.5), 1),
    ):
        assert divided.columns == [*df.columns, "fold"]
        assert divided.schema["fold"].dataType.simpleString() == "int"
        assert divided.drop("fold").orderBy("row").collect() == df.orderBy("row").collect()


@pytest.mark.parametrize("kind", ["int", "bigint", "double", "decimal(9, 2)"])
def test_a_column_numbers_the_folds(df, kind):
    typed = df.withColumn("given", F.col("given").cast("int").cast(kind))
    np.testing.assert_array_equal(fold_of_each(given_folds(typed, "fold", "given", 3)), PLACES % 3)


@pytest.mark.parametrize(
    ("value", "said"),
    [("null", "null"), ("3", "3.0"), ("-1", "-1.0"), ("0.5", "0.5"), ("double('nan')", "NaN")],
    ids=["null", "too high", "negative", "fractional", "nan"],
)
def test_fold_numbers_that_are_none_are_refused_by_column_and_value(spark, df, value, said):
    wrong = df.withColumn("my % folds.x", F.expr(f"case when row = 17 then {value} else given end"))
    validator = cross_validator(foldCol="my % folds.x")
    with nothing_left(spark), pytest.raises(InvalidDataError) as refused:
        validator.fit(wrong)
    assert str(refused.value) == f"column 'my % folds.x' holds {said}; fold numbers are the integers from 0 to 2"


@pytest.mark.parametrize("where", ["on executors", "by a feature stage", "one by one"])
def test_they_are_refused_wherever_a_job_comes_across_them(spark, df, where):
    scaler = StandardScaler(inputCol="features", outputCol="scaled")
    estimator = {
        "on executors": LogisticRegression(execution="cluster"),
        "by a feature stage": Pipeline(stages=[scaler, LogisticRegression(featuresCol="scaled")]),
        "one by one": MLlibLogisticRegression(),
    }[where]
    wrong = df.withColumn("it's", F.lit(None).cast("int"))
    with nothing_left(spark), pytest.raises(InvalidDataError, match='column "it\'s" holds null; fold numbers are'):
        cross_validator(estimator=estimator, foldCol="it's").fit(wrong)


def cross_validator(**params) -> CrossValidator:
    estimator = LogisticRegression(regParam=0.1)
    evaluator = MulticlassClassificationEvaluator(metricName="logLoss")
    given = {"estimator": estimator, "estimatorParamMaps": [{}], "evaluator": evaluator, "numFolds": 3, "seed": 1}
    return CrossValidator(**given | params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"foldCol": "nowhere"}, "foldCol='nowhere' does not exist; the DataFrame has 'features', 'label'"),
        ({"foldCol": "given", "numFolds": 4}, "The validation data at fold 3 is empty; give every fold some rows"),
        ({"foldCol": "same"}, "The validation data at fold 1 is empty"),
        ({"foldCol": "features"}, "foldCol='features' has type vector; it must be a number"),
        ({"foldCol": "given", "stratify": True}, "stratify cannot be used with foldCol"),
        ({"estimatorParamMaps": []}, "estimatorParamMaps is empty"),
        ({"numFolds": 200}, "The validation data at fold [0-9]+ is empty; use fewer folds, or more rows"),
    ],
)
def test_folds_that_cannot_be_are_refused(spark, df, params, message):
    with nothing_left(spark), pytest.raises((InvalidDataError, InvalidParamError), match=message):
        cross_validator(**params).fit(df.withColumn("same", F.lit(0)))


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_split_needs_rows_on_both_sides(df, ratio):
    validator = cross_validator()
    split = TrainValidationSplit(
        estimator=validator.getEstimator(), estimatorParamMaps=[{}], evaluator=validator.getEvaluator(), seed=1
    )
    with pytest.raises(InvalidParamError, match=f"trainRatio={ratio:g} must be between 0 and 1"):
        split.setTrainRatio(ratio).fit(df)


@pytest.mark.parametrize("shares", [(0.2,) * 5, (1 / 3,) * 3, (0.25,), (0.5, 0.3)], ids=str)
@pytest.mark.parametrize("count", [1, 7, 40, 1000, 12345])
def test_each_fold_is_dealt_its_share_of_any_consecutive_rows(shares, count):
    expected = np.array([*shares, 1.0 - sum(shares)]) * count
    for label in (0.0, 1.0, -2.5):
        folds = dealt_folds(3, count, shares, (11, 0, label))
        dealt = np.array([*(np.sum(folds == fold) for fold in range(len(shares))), np.sum(folds == NEVER)])
        assert np.all(np.abs(dealt - expected) <= 2.0), (dealt, expected)


def test_rows_are_dealt_the_same_in_whatever_batches_they_come():
    whole = dealt_folds(0, 100, (0.5, 0.5), (1, 2, 0.0))
    parts = [dealt_folds(first, 25, (0.5, 0.5), (1, 2, 0.0)) for first in (0, 25, 50, 75)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    keys = [(1, 2, 0.0), (1, 3, 0.0), (1, 2, 1.0), (2, 2, 0.0)]
    starts = {tuple(dealt_folds(0, 20, (0.5, 0.5), key)) for key in keys}
    assert len(starts) == 4, "seed, partition and label decide where they start"


@pytest.mark.parametrize("folds", [2, 5])
def test_stratified_folds_have_the_same_share_of_every_class(spark, df, folds):
    shares = (1.0 / folds,) * folds
    dealt = fold_of_each(stratified_folds(df, "fold", "label", shares, 4))
    partitions = df.rdd.getNumPartitions()
    for label in np.unique(LABEL):
        counts = np.array([np.sum(dealt[label == LABEL] == fold) for fold in range(folds)])
        assert counts.sum() == np.sum(label == LABEL)
        assert np.all(np.abs(counts - counts.mean()) < 2.0 * partitions), (label, counts)
    in_one = fold_of_each(stratified_folds(df.coalesce(1), "fold", "label", shares, 4))
    for label in np.unique(LABEL):
        counts = np.array([np.sum(in_one[label == LABEL] == fold) for fold in range(folds)])
        assert counts.max() - counts.min() <= 2, (label, counts)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "17")
    try:
        again = fold_of_each(stratified_folds(df, "fold", "label", shares, 4))
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    np.testing.assert_array_equal(again, dealt)
    assert np.any(dealt != fold_of_each(stratified_folds(df, "fold", "label", shares, 5)))


def test_a_stratified_split_leaves_rows_that_all_models_train_on(df):
    dealt = fold_of_each(stratified_folds(df.coalesce(1), "fold", "label", (0.25,), 4))
    assert set(dealt) == {0, NEVER}
    for label in np.unique(LABEL):
        expected = 0.25 * np.sum(label == LABEL)
        assert abs(np.sum(dealt[label == LABEL] == 0) - expected) < 2.0


def test_packed_blocks_hold_the_folds(df):
    estimator = LogisticRegression(featuresCol="features")
    divided = given_folds(df, "fold", "given", 3)
    with packed(divided, [estimator], fold="fold") as data:
        assert data.folds == [0, 1, 2]
        assert [data.without(fold).rows.statistics.rows for fold in data.folds] == [200, 200, 200]
