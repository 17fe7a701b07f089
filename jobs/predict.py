"""Predict: ``spark-submit jobs/predict.py --model out/model --input data.parquet --output predictions.parquet``."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from job_io import READ_OPTIONS, JobError, first_line, read, require_free, run_job
from job_parser import Parser
from job_scoring import model_of, scored, write_parquet
from job_session import session_of
from pyspark.errors import PySparkException
from pyspark.ml.util import DefaultParamsReader
from pyspark.sql import SparkSession

EXAMPLES = (
    "--model out/clicks --input new.parquet --output out/predictions",
    "--model out/houses --input new.csv --output out/predictions --handleInvalid skip --overwrite",
    "--model hdfs:///models/clicks --input sales.clicks --format table --output hdfs:///predictions",
)

INVALID = ("error", "skip", "keep")


def main(argv: list[str], spark: SparkSession | None = None) -> int:
    """Run the job and return its exit code; ``spark`` is a session to use, by default one is started and stopped."""
    return run_job(job, argv, spark)


def job(argv: list[str], spark: SparkSession | None) -> None:
    """Read the options, then predict."""
    options = parser().parse(argv)
    with session_of(spark, "predict", options.remote) as session:
        run(session, options)


def parser() -> Parser:
    """The command line."""
    description = "Write the rows of a source with a model's predictions as parquet."
    result = Parser(description, "spark-submit jobs/predict.py", EXAMPLES)
    result.add_source()
    result.add_argument(
        "--model", required=True, metavar="DIR", help="a model that jobs/train.py or jobs/tune.py saved"
    )
    result.add_argument("--output", required=True, metavar="DIR", help="where to write parquet")
    result.add_argument("--overwrite", action="store_true", help="replace an existing output")
    result.add_argument(
        "--handleInvalid", choices=INVALID,
        help="rows with a feature that is null or NaN, or with a category that was not there in training: error; skip "
        "leaves them out; keep scores them as NaN. Default: as in training",
    )  # fmt: skip
    return result


def run(spark: SparkSession, options: argparse.Namespace) -> None:
    """Load, transform, write."""
    require_free(spark, options.output, options.overwrite)
    model = load(spark, options.model)
    linear = model_of(model)
    if options.handleInvalid:
        linear.set(linear.getParam("handleInvalid"), options.handleInvalid)
    # libsvm rows do not say how many features there are, but the model knows.
    width = {"libsvm": {"numFeatures": str(linear.numFeatures)}} if hasattr(linear, "numFeatures") else {}
    data = read(spark, options, {**READ_OPTIONS, **width})
    write_parquet(spark, scored(data, model), options.output, options.overwrite)
    print(f"wrote predictions of {type(linear).__name__} to {options.output}")


def load(spark: SparkSession, path: str) -> Any:
    """The model saved at a path, of whichever class it is."""
    try:
        return DefaultParamsReader.loadParamsInstance(path, spark)
    except (PySparkException, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise JobError(f"--model {path!r} is not a model directory: {first_line(error)}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
