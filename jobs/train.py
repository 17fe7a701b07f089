"""Train a model: ``spark-submit jobs/train.py --input data.parquet --task classification --model out/model``.

Every param of the estimator is an option of the same name; ``--help`` lists them.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from pathlib import Path
from typing import Any, TypeAlias

from job_io import JobError, Parser, given_params, read, require_free, run_job, start_session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BooleanType, NumericType
from train_report import RoundLines, evaluate, print_table, write_plot, write_report

from sparkgd import classification, regression
from sparkgd.exceptions import ConvergenceWarning

Trainer: TypeAlias = Any
"""An estimator of sparkgd."""

TASKS = {"classification": (classification, "LogisticRegression"), "regression": (regression, "LinearRegression")}
"""The module of a task, and the estimator that it uses by default."""

ALL = ["*"]
"""Value of ``featuresCols`` that means every numeric column without another role."""


def main(argv: list[str], spark: SparkSession | None = None) -> int:
    """Run the job and return its exit code; ``spark`` is a session to use, by default one is started and stopped."""
    return run_job(job, argv, spark)


def job(argv: list[str], spark: SparkSession | None) -> None:
    """Check all that can be checked without Spark, then train."""
    options, estimator = parse(argv)
    estimator.checkParams()
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        raise JobError("--plot needs matplotlib: pip install 'sparkgd[plot]'")
    session = spark or start_session(f"train {type(estimator).__name__}")
    try:
        run(session, options, estimator)
    finally:
        if spark is None:
            session.stop()


def parse(argv: list[str]) -> tuple[argparse.Namespace, Trainer]:
    """The options, and the estimator that they describe. Which params there are depends on the estimator."""
    task = Parser("Which estimator.")
    task.add_argument("--task", choices=TASKS, default="classification")
    task.add_argument("--estimator")
    known, _ = task.parse_known_args([text for text in argv if text not in ("-h", "--help")])
    estimators = estimators_of(known.task)
    name = known.estimator or TASKS[known.task][1]
    if name not in estimators:
        raise JobError(f"--estimator {name!r} is unknown; for {known.task} there are {', '.join(estimators)}")
    options = parser(estimators[name]()).parse(argv)
    return options, estimators[name](**given_params(options))


def estimators_of(task: str) -> dict[str, Trainer]:
    """The public estimators of a task, by name."""
    module = TASKS[task][0]
    public = {name: getattr(module, name) for name in module.__all__}
    return {name: kind for name, kind in public.items() if hasattr(kind, "checkParams")}


def parser(estimator: Trainer) -> Parser:
    """Command line for an estimator."""
    result = Parser("Train a linear model. Options in Spark's spelling are the params of the estimator.")
    result.add_source()
    result.add_argument("--task", choices=TASKS, default="classification", help="default: classification")
    result.add_argument("--estimator", help="class of the task's module; default: its linear model")
    group = result.add_argument_group("evaluation and output")
    group.add_argument("--test-fraction", type=float, default=0.2, help="share of rows held out (default: 0.2)")
    group.add_argument("--split-seed", type=int, default=0, help="seed of that split (default: 0)")
    group.add_argument("--model", required=True, metavar="DIR", help="where to save the model")
    group.add_argument("--overwrite", action="store_true", help="replace an existing model")
    group.add_argument("--report", type=Path, metavar="FILE", help="JSON report, a file on the driver's machine")
    group.add_argument("--plot", type=Path, metavar="FILE", help="PNG of the training curve, likewise")
    result.add_params(estimator)
    return result


def run(spark: SparkSession, options: argparse.Namespace, estimator: Trainer) -> None:
    """Read, split, fit, evaluate, save, report."""
    if not 0.0 <= options.test_fraction < 1.0:
        raise JobError(f"--test-fraction {options.test_fraction:g} is not allowed; give a number in [0, 1)")
    require_free(spark, options.model, options.overwrite)
    for path in filter(None, (options.report, options.plot)):
        path.parent.mkdir(parents=True, exist_ok=True)
    data = read(spark, options)
    choose_features(data, estimator)
    training, held_out = split(data, options.test_fraction, options.split_seed)
    if not estimator.isSet("progress"):
        estimator.setCallbacks([RoundLines()])
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table says so
        model = estimator.fit(training)
    seconds = time.perf_counter() - began
    metrics = None if held_out is None else evaluate(options.task, model, estimator, held_out)
    writer = model.write()
    (writer.overwrite() if options.overwrite else writer).save(options.model)
    if options.report:
        write_report(options, estimator, model, seconds, metrics)
    if options.plot:
        write_plot(options.plot, model.summary)
    print_table(options, model, seconds, metrics)


def choose_features(data: DataFrame, estimator: Trainer) -> None:
    """Set ``featuresCols`` to all numeric columns where asked for, or where there is no column of features."""
    several = estimator.getFeaturesCols() if estimator.isDefined("featuresCols") else None
    if several is None and (estimator.isSet("featuresCol") or estimator.getFeaturesCol() in data.columns):
        return
    if several not in (None, ALL):
        return
    roles = ("labelCol", "weightCol", "offsetCol", "validationIndicatorCol")
    taken = {estimator.getOrDefault(role) for role in roles if estimator.isDefined(role)}
    numeric = [field.name for field in data.schema if isinstance(field.dataType, NumericType | BooleanType)]
    features = [name for name in numeric if name not in taken]
    if not features:
        raise JobError("there is no numeric column to use as a feature; give --featuresCol or --featuresCols")
    estimator.setFeaturesCols(features)


def split(data: DataFrame, fraction: float, seed: int) -> tuple[DataFrame, DataFrame | None]:
    """Training rows and held-out rows."""
    if fraction == 0.0:
        return data, None
    training, held_out = data.randomSplit([1.0 - fraction, fraction], seed)
    return training, held_out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
