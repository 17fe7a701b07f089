"""Script of tests/connect: the fits of `cases` on classic Spark, and pipelines for the other side to load.

python classic_reference.py OUTPUT SAVED_BY_CLASSIC
python classic_reference.py OUTPUT --load SAVED_BY_CONNECT
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import SparkSession

from sparkgd.classification import LogisticRegression
from tests.connect.cases import COLUMNS, estimators, frame, in_batches, told, uneven


def main() -> None:
    output, *rest = sys.argv[1:]
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.python.unix.domain.socket.enabled", "true")
        .getOrCreate()
    )
    warnings.simplefilter("ignore")
    df = frame(spark)
    if rest[0] == "--load":
        rows = PipelineModel.load(rest[1]).transform(df.orderBy("x0").limit(20)).select("probability").collect()
        found = {"probabilities": [row.probability[1] for row in rows]}
    else:
        found = {name: told(estimator.fit(df)) for name, estimator in estimators().items()}
        found["uneven"] = told(estimators()["auto"].fit(uneven(spark)))
        found["in batches"] = told(in_batches(df))
        stages = [VectorAssembler(inputCols=COLUMNS, outputCol="features"), LogisticRegression(regParam=0.01)]
        Pipeline(stages=stages).fit(df).save(rest[0])
    Path(output).write_text(json.dumps(found))
    spark.stop()


if __name__ == "__main__":
    main()
