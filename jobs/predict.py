"""Predict: ``spark-submit jobs/predict.py --model out/model --input data.parquet --output predictions.parquet``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from job_io import READ_OPTIONS, JobError, Parser, first_line, read, require_free, run_job, start_session
from pyspark.errors import PySparkException
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession


def main(argv: list[str], spark: SparkSession | None = None) -> int:
    """Run the job and return its exit code; ``spark`` is a session to use, by default one is started and stopped."""
    return run_job(job, argv, spark)


def job(argv: list[str], spark: SparkSession | None) -> None:
    """Read the options, then predict."""
    options = parser().parse(argv)
    session = spark or start_session("predict")
    try:
        run(session, options)
    finally:
        if spark is None:
            session.stop()


def parser() -> Parser:
    """The command line."""
    result = Parser("Write the rows of a source with a model's predictions as parquet.")
    result.add_source()
    result.add_argument("--model", required=True, metavar="DIR", help="a model that jobs/train.py saved")
    result.add_argument("--output", required=True, metavar="DIR", help="where to write parquet")
    result.add_argument("--overwrite", action="store_true", help="replace an existing output")
    return result


def run(spark: SparkSession, options: argparse.Namespace) -> None:
    """Load, transform, write."""
    require_free(spark, options.output, options.overwrite)
    model = load(spark, options.model)
    # libsvm rows do not say how many features there are, but the model knows.
    data = read(spark, options, {**READ_OPTIONS, "libsvm": {"numFeatures": str(model.numFeatures)}})
    scored = model.transform(data)
    scored.write.mode("overwrite" if options.overwrite else "error").parquet(options.output)
    print(f"wrote predictions of {type(model).__name__} to {options.output}")


def load(spark: SparkSession, path: str) -> Any:
    """The model saved at a path, of whichever class it is."""
    try:
        return DefaultParamsReader.loadParamsInstance(path, spark)
    except (PySparkException, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise JobError(f"--model {path!r} is not a model directory: {first_line(error)}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
