"""Input, checkpoints and model in HDFS, with a driver that is no part of YARN."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from scripts.hadoop.cluster import HadoopCluster
from sparkgd.classification import LogisticRegression, LogisticRegressionModel

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sparkgd.exceptions.ConvergenceWarning"),
]

COLUMNS = [f"x{j}" for j in range(4)]


@pytest.fixture(scope="module")
def rows(spark: SparkSession, hadoop: HadoopCluster) -> DataFrame:
    """Rows that are read from HDFS."""
    columns = [F.sin(F.col("id") * (j + 1.3) + j).alias(name) for j, name in enumerate(COLUMNS)]
    label = (F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9) > 0.3).cast("double").alias("label")
    path = f"{hadoop.filesystem}/hdfs/rows.parquet"
    spark.range(3_000, numPartitions=3).select(*columns, label).write.parquet(path)
    return spark.read.parquet(path)


def estimator(**params: object) -> LogisticRegression:
    return LogisticRegression(featuresCols=COLUMNS, solver="nesterov", tol=0.0, maxIter=20, **params)


def bits(model: LogisticRegressionModel) -> list[str]:
    return [float(value).hex() for value in [*model.coefficients, model.intercept]]


def test_a_fit_goes_on_from_hdfs_to_the_same_bits(hadoop: HadoopCluster, rows: DataFrame) -> None:
    def power_cut(record: object) -> None:
        if record.round == 8:
            raise KeyboardInterrupt

    rounds = []
    directory = f"{hadoop.filesystem}/hdfs/checkpoints"
    patient = estimator(checkpointDir=directory, checkpointInterval=3)
    with pytest.raises(KeyboardInterrupt):
        patient.copy().setCallbacks([power_cut]).fit(rows)
    listed = [line.split() for line in hadoop.shell("-ls", "-R", directory).splitlines()]
    assert {fields[0] for fields in listed} == {"drwx------", "-rw-------"}
    assert [fields[-1].rpartition("/")[2] for fields in listed if fields[0].startswith("-")] == [
        "round-000000003.checkpoint",
        "round-000000006.checkpoint",
    ]
    resumed = patient.setCallbacks([lambda record: rounds.append(record.round)]).fit(rows)
    assert rounds[0] == 7
    assert bits(resumed) == bits(estimator().fit(rows))
    assert hadoop.shell("-ls", directory) == "", "nothing is left of the checkpoints"


def test_a_model_is_saved_in_hdfs(hadoop: HadoopCluster, rows: DataFrame) -> None:
    model = estimator().fit(rows)
    path = f"{hadoop.filesystem}/hdfs/model"
    model.save(path)
    loaded = LogisticRegressionModel.load(path)
    assert bits(loaded) == bits(model)
    assert loaded.transform(rows).select("prediction").collect() == model.transform(rows).select("prediction").collect()
