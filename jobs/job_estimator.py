"""What the jobs that train share: which estimator, options of columns, evaluation and output, the split, saving."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from job_io import JobError, require_free
from job_parser import Parser, given_params, names
from pyspark.sql import DataFrame, SparkSession

from sparkgd import classification, regression

Trainer: TypeAlias = Any
"""An estimator of sparkgd."""

TASKS = {"classification": (classification, "LogisticRegression"), "regression": (regression, "LinearRegression")}
"""The module of a task, and the estimator that it uses by default."""


def parse(argv: list[str], parser: Callable[[Trainer], Parser]) -> tuple[argparse.Namespace, Trainer]:
    """The options, and the estimator that they describe. Which params there are depends on the estimator."""
    task = Parser("Which estimator.")
    _add_task(task)
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


def _add_task(parser: Parser) -> None:
    parser.add_argument("--task", choices=TASKS, default="classification", help="default: classification")
    parser.add_argument("--estimator", help="class of the task's module; default: its linear model")


def add_training(parser: Parser, plot: str) -> None:
    """Options of a job that trains, but for the params of the estimator; ``plot`` says what it draws."""
    parser.add_source()
    _add_task(parser)
    columns = parser.add_argument_group(
        "columns", "Features are the column features if there is one, else all numeric columns without another role."
    )
    columns.add_argument(
        "--categoricalCols", type=names, default=[], metavar="A,B",
        help="columns of categories, text or numbers: a feature for each value but the rarest",
    )  # fmt: skip
    columns.add_argument(
        "--leave-out", type=names, default=[], metavar="A,B", help="numeric columns that are no features"
    )
    group = parser.add_argument_group("evaluation and output")
    group.add_argument("--test-fraction", type=float, default=0.2, help="share of rows held out (default: 0.2)")
    group.add_argument("--split-seed", type=int, default=0, help="seed of that split (default: 0)")
    group.add_argument("--model", required=True, metavar="DIR", help="where to save the model")
    group.add_argument("--overwrite", action="store_true", help="replace an existing model")
    group.add_argument("--report", type=Path, metavar="FILE", help="JSON report, a file on the driver's machine")
    group.add_argument("--plot", type=Path, metavar="FILE", help=f"PNG of {plot}, likewise")


def check_options(options: argparse.Namespace) -> None:
    """Refuse what needs no session to be refused."""
    if not 0.0 <= options.test_fraction < 1.0:
        raise JobError(f"--test-fraction {options.test_fraction:g} is not allowed; give a number in [0, 1)")
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        raise JobError("--plot needs matplotlib: pip install 'sparkgd[plot]'")


def check_outputs(spark: SparkSession, options: argparse.Namespace, *files: Path | None) -> None:
    """Make room for what the job will write, before the work rather than after it."""
    require_free(spark, options.model, options.overwrite)
    for path in filter(None, files):
        path.parent.mkdir(parents=True, exist_ok=True)


def split(data: DataFrame, fraction: float, seed: int) -> tuple[DataFrame, DataFrame | None]:
    """Training rows and held-out rows."""
    if fraction == 0.0:
        return data, None
    training, held_out = data.randomSplit([1.0 - fraction, fraction], seed)
    return training, held_out


def save(model: Any, options: argparse.Namespace) -> None:
    """Save a model where the options say."""
    writer = model.write()
    (writer.overwrite() if options.overwrite else writer).save(options.model)


@contextmanager
def after_saving(options: argparse.Namespace) -> Iterator[None]:
    """Say that the model is there, should what follows fail."""
    try:
        yield
    except BaseException:
        print(f"the model is saved in {options.model}; what came after that failed", flush=True)
        raise
