"""Choose params: ``spark-submit jobs/tune.py --input data.parquet --grid grid.json --model out/model``.

Trains and judges every combination of a grid by cross-validation, or by one split, and saves the best model.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from job_estimator import Trainer, add_training, after_saving, check_options, check_outputs, parse, save, split
from job_evaluation import evaluate, evaluator_of, metrics_of
from job_io import JobError, read, run_job
from job_parser import Parser, given_params
from job_pipeline import Preparation, prepare
from job_report import print_table, write_plot, write_report
from job_session import session_of
from pyspark.sql import SparkSession
from tune_grid import ParamMap, read_grid
from tune_report import ENDINGS, ranking, records, table, text_of, write_results

from sparkgd.exceptions import ConvergenceWarning
from sparkgd.tuning import CrossValidator, TrainValidationSplit

EXAMPLES = (
    "--input clicks.parquet --labelCol clicked --grid grid.json --model out/clicks",
    "--input houses.csv --task regression --labelCol price --grid grid.yaml --trainRatio 0.75 --metric mae \\\n"
    "      --model out/houses --results out/trials.csv --plot out/houses.png",
    "--input clicks.parquet --labelCol clicked --solver gd --grid steps.json --numFolds 5 --stratify --model out/gd",
)

GRID = 'maps params to lists of values, such as {"regParam": [0.01, 0.1]}; a list of such maps is searched one by one'


def main(argv: list[str], spark: SparkSession | None = None) -> int:
    """Run the job and return its exit code; ``spark`` is a session to use, by default one is started and stopped."""
    return run_job(job, argv, spark)


def job(argv: list[str], spark: SparkSession | None) -> None:
    """Check all that can be checked without Spark, then search."""
    options, estimator = parse(argv, parser)
    estimator.checkParams()
    maps = read_grid(options.grid, estimator, given_params(options))
    check(options, estimator)
    with session_of(spark, f"tune {type(estimator).__name__}", options.remote) as session:
        run(session, options, estimator, maps)


def parser(estimator: Trainer) -> Parser:
    """Command line for an estimator."""
    description = "Choose params of a linear model. Options in Spark's spelling are its params, or the validator's."
    result = Parser(description, "spark-submit jobs/tune.py", EXAMPLES)
    add_training(result, "the metric against the grid")
    group = result.add_argument_group("search")
    group.add_argument("--grid", type=Path, required=True, metavar="FILE", help=f"JSON or YAML: {GRID}")
    group.add_argument("--metric", help="what to choose by; default: rmse, or of a classifier areaUnderROC where there "
                       "are two labels, else f1")  # fmt: skip
    group.add_argument("--numFolds", type=int, help="folds of the cross-validation (default: 3)")
    group.add_argument("--foldCol", metavar="COLUMN", help="column that numbers the folds, from 0")
    group.add_argument(
        "--trainRatio", type=float, metavar="SHARE", help="one split instead of folds, to train on so much"
    )
    group.add_argument("--stratify", action="store_true", help="give every fold its share of each label")
    group.add_argument("--halvingFactor", type=float, metavar="FACTOR",
                       help="retire losers: of so many one goes on, for so many times the iterations")  # fmt: skip
    group.add_argument("--halvingMinIter", type=int, metavar="N", help="iterations before the first are retired")
    group.add_argument("--fold-seed", type=int, default=0, help="seed of the folds or the split (default: 0)")
    group.add_argument(
        "--results", type=Path, metavar="FILE", help="all trials as .csv or .json, on the driver's machine"
    )
    result.add_params(estimator)
    return result


def check(options: argparse.Namespace, estimator: Trainer) -> None:
    """Refuse options that contradict each other or name nothing.

    Raises
    ------
    JobError
    """
    check_options(options)
    if options.trainRatio is not None and not (options.numFolds is None and options.foldCol is None):
        raise JobError("--trainRatio is for one split; --numFolds and --foldCol are for folds")
    if options.foldCol and options.stratify:
        raise JobError("--stratify cannot be used with --foldCol, which says already which rows are together")
    if options.trainRatio is not None and not 0.0 < options.trainRatio < 1.0:
        raise JobError(f"--trainRatio {options.trainRatio:g} is not allowed; give a number between 0 and 1")
    if options.halvingFactor is not None and not 1.0 < options.halvingFactor < math.inf:
        raise JobError(f"--halvingFactor {options.halvingFactor:g} is not allowed; give a number above 1, such as 3")
    if options.halvingMinIter is not None and (options.halvingFactor is None or options.halvingMinIter < 1):
        raise JobError("--halvingMinIter is a number of iterations from 1 on, and needs --halvingFactor")
    if options.numFolds is not None and options.numFolds < 2:
        raise JobError(f"--numFolds {options.numFolds} is not allowed; give at least 2")
    allowed = metrics_of(options.task, estimator)
    if options.metric is not None and options.metric not in allowed:
        raise JobError(f"--metric {options.metric!r} is not allowed; give one of {', '.join(allowed)}")
    if options.results and options.results.suffix not in ENDINGS:
        raise JobError(f"--results {str(options.results)!r} must end in {' or '.join(ENDINGS)}")


def run(spark: SparkSession, options: argparse.Namespace, estimator: Trainer, maps: list[ParamMap]) -> None:
    """Read, split, search, save the best model, evaluate it, report."""
    check_outputs(spark, options, options.report, options.plot, options.results)
    data = read(spark, options)
    preparation = prepare(data, estimator, options)
    training, held_out = split(data, options.test_fraction, options.split_seed)
    if not estimator.isSet("progress"):
        estimator.setProgress(True)
    metric = options.metric or default_metric(options, preparation)
    validator = validator_of(options, estimator, maps, metric)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the table says so
        found = validator.fit(preparation.apply(training))
    seconds = time.perf_counter() - began
    best = found.bestModel
    save(preparation.whole(best), options)
    with after_saving(options):
        ranked = ranking(found.results, len(maps), validator.getEvaluator().isLargerBetter())
        print("", *table(ranked, maps, metric), sep="\n", flush=True)
        if options.results:
            write_results(found.results, options.results)
        if options.plot:
            write_plot(options.plot, found.plot)
        metrics = None
        if held_out is not None:
            metrics = evaluate(options.task, best, estimator, preparation.apply(held_out))
        chosen = {param.name: value for param, value in maps[int(ranked["map"].iloc[0])].items()}
        if options.report:
            search = {"metric": metric, "chosen": chosen, "trials": records(found.results)}
            write_report(options, estimator, best, seconds, metrics, {**preparation.report(), "search": search})
        params = ", ".join(f"{name}={text_of(value)}" for name, value in chosen.items())
        told = f"{params}, best of {len(maps)} by {metric}"
        results = str(options.results or "")
        print_table(options, best, seconds, metrics, {"chosen": told, "results": results})


def default_metric(options: argparse.Namespace, preparation: Preparation) -> str:
    """The metric to choose by, of the labels that were seen."""
    if options.task == "regression":
        return "rmse"
    return "areaUnderROC" if preparation.label_values <= 2 else "f1"


def validator_of(options: argparse.Namespace, estimator: Trainer, maps: list[ParamMap], metric: str) -> Any:
    """The validator that the options describe."""
    shared = {
        "estimator": estimator,
        "estimatorParamMaps": maps,
        "evaluator": evaluator_of(metric, estimator),
        "seed": options.fold_seed,
        "stratify": options.stratify,
        "halvingFactor": options.halvingFactor,
        "halvingMinIter": options.halvingMinIter,
    }
    if options.trainRatio is not None:
        return TrainValidationSplit(trainRatio=options.trainRatio, **shared)
    return CrossValidator(numFolds=options.numFolds or 3, foldCol=options.foldCol or "", **shared)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
