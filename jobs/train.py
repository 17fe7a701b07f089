"""Train a model: ``spark-submit jobs/train.py --input data.parquet --task classification --model out/model``.

Every param of the estimator is an option of the same name; ``--help`` lists them.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

from job_estimator import Trainer, add_training, after_saving, check_options, check_outputs, parse, save, split
from job_evaluation import evaluate
from job_io import read, run_job
from job_parser import Parser
from job_pipeline import prepare
from job_report import RoundLines, print_table, write_plot, write_report
from job_session import session_of
from pyspark.sql import SparkSession

from sparkgd.exceptions import ConvergenceWarning

EXAMPLES = (
    "--input clicks.parquet --labelCol clicked --regParam 1e-4 --model out/clicks",
    "--input houses.csv --task regression --labelCol price --categoricalCols city,heating --model out/houses \\\n"
    "      --test-fraction 0.25 --report out/houses.json --plot out/houses.png",
    "--input rows.libsvm --estimator LinearSVC --solver newton-cg --maxSeconds 600 --model out/svc",
)


def main(argv: list[str], spark: SparkSession | None = None) -> int:
    """Run the job and return its exit code; ``spark`` is a session to use, by default one is started and stopped."""
    return run_job(job, argv, spark)


def job(argv: list[str], spark: SparkSession | None) -> None:
    """Check all that can be checked without Spark, then train."""
    options, estimator = parse(argv, parser)
    estimator.checkParams()
    check_options(options)
    with session_of(spark, f"train {type(estimator).__name__}", options.remote) as session:
        run(session, options, estimator)


def parser(estimator: Trainer) -> Parser:
    """Command line for an estimator."""
    description = "Train a linear model. Options in Spark's spelling are the params of the estimator."
    result = Parser(description, "spark-submit jobs/train.py", EXAMPLES)
    add_training(result, "the training curve")
    result.set_defaults(foldCol=None)
    result.add_params(estimator)
    return result


def run(spark: SparkSession, options: argparse.Namespace, estimator: Trainer) -> None:
    """Read, split, fit, save, evaluate, report."""
    check_outputs(spark, options, options.report, options.plot)
    data = read(spark, options)
    preparation = prepare(data, estimator, options)
    training, held_out = split(data, options.test_fraction, options.split_seed)
    if not estimator.isSet("progress"):
        estimator.setCallbacks([RoundLines()])
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table says so
        model = estimator.fit(preparation.apply(training))
    seconds = time.perf_counter() - began
    save(preparation.whole(model), options)
    with after_saving(options):
        metrics = None
        if held_out is not None:
            metrics = evaluate(options.task, model, estimator, preparation.apply(held_out))
        if options.report:
            write_report(options, estimator, model, seconds, metrics, preparation.report())
        if options.plot:
            write_plot(options.plot, model.summary.plot)
        print_table(options, model, seconds, metrics)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
