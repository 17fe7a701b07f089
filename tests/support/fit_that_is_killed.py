"""Script of tests/ml/test_driver_lost.py: a fit of 40 iterations in a process that may kill itself.

``fit_that_is_killed.py DIRECTORY EXECUTION [ROUND]`` prints one JSON line about a fit with checkpoints, unless it is
killed after that round. Without a directory (``-``) the fit has none.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sparkgd.classification import LogisticRegression
from sparkgd.training.loop import Record

COLUMNS = [f"x{j}" for j in range(5)]


def rows(spark: SparkSession) -> DataFrame:
    """Rows that are the same in every process."""
    columns = [F.sin(F.col("id") * (j + 1.3) + j).alias(name) for j, name in enumerate(COLUMNS)]
    label = (F.sin(F.col("id") * 0.7) + F.cos(F.col("id") * 1.9) > 0.3).cast("double")
    return spark.range(5_000, numPartitions=3).select(*columns, label.alias("label"))


def fit(df: DataFrame, directory: str, execution: str, last: int) -> dict[str, object]:
    """What became of the fit."""
    rounds: list[int] = []

    def watch(record: Record) -> None:
        rounds.append(record.round)
        if record.round == last:
            os.kill(os.getpid(), signal.SIGKILL)

    estimator = LogisticRegression(featuresCols=COLUMNS, solver="nesterov", tol=0.0, maxIter=40, execution=execution)
    if directory != "-":
        estimator = estimator.setCheckpointDir(directory)
    model = estimator.setCallbacks([watch]).fit(df)
    return {
        "coefficients": [float(x).hex() for x in [*model.coefficients, model.intercept]],
        "objectives": [x.hex() for x in model.summary.objectiveHistory],
        "gradient norms": [x.hex() for x in model.summary.gradientNormHistory],
        "status": [model.summary.status, model.summary.statusReason, len(model.summary.secondsPerRound)],
        "rounds": rounds,
    }


def main(directory: str, execution: str, last: int = 0) -> None:
    """Run the fit."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    print(json.dumps(fit(rows(spark), directory, execution, last)))
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
