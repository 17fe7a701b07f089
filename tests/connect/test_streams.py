"""Batches and streams over Spark Connect."""

from __future__ import annotations

import os

import numpy as np
import pytest
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression, LogisticRegressionModel
from tests.connect.cases import COLUMNS, in_batches, told

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("nothing_stays")]


def test_batch_after_batch_has_the_bits_of_classic_spark(df, reference):
    assert told(in_batches(df)) == reference["in batches"]


def test_a_stream_is_scored_and_learned_from(spark, df, tmp_path):
    """What ``foreachBatch`` is given runs beside the server, so the model goes from batch to batch through a path."""
    source, where = str(tmp_path / "source"), str(tmp_path / "model")
    df.repartition(3).write.parquet(source)
    estimator, kind = LogisticRegression(featuresCols=COLUMNS, regParam=0.01), LogisticRegressionModel

    def learn(batch, number):
        before = kind.load(where) if os.path.exists(where) else None
        estimator.partialFit(batch, before).write().overwrite().save(where)

    stream = spark.readStream.schema(df.schema).option("maxFilesPerTrigger", 1).parquet(source)
    query = stream.writeStream.foreachBatch(learn).trigger(availableNow=True).start()
    assert query.awaitTermination(120)
    assert query.exception() is None
    model = LogisticRegressionModel.load(where)
    assert model._memory.batches == 3
    np.testing.assert_allclose(model._weights, estimator.fit(df)._weights, rtol=0.1, atol=0.01)

    scored = model.transform(stream)
    assert scored.isStreaming
    query = scored.writeStream.format("memory").queryName("scored").trigger(availableNow=True).start()
    assert query.awaitTermination(120)
    whole = model.transform(df)
    sums = [rows.agg(F.sum("prediction")).first()[0] for rows in (spark.table("scored"), whole)]
    assert sums[0] == sums[1]
    spark.catalog.dropTempView("scored")
