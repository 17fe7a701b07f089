"""What the jobs share: options, reading a source, and errors as one line with exit code 2."""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, IllegalArgumentException, PySparkException
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import DataFrame, SparkSession

from sparkgd.exceptions import DivergedError, SparkGDError

FORMATS = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".libsvm": "libsvm", ".svm": "libsvm"}
"""Format by the ending of a path."""

LOG_LEVEL = "ERROR"
"""What Spark itself may print while a job runs."""

ReadOptions: TypeAlias = Mapping[str, Mapping[str, str]]

READ_OPTIONS: ReadOptions = {"csv": {"header": "true", "inferSchema": "true"}}
"""Options that a format is read with unless ``--read-option`` says otherwise."""


class JobError(Exception):
    """A wrong option, path, column or type; the message is the one line that the user sees."""


class Parser(argparse.ArgumentParser):
    """Command line whose errors are one line, with the closest known option."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise JobError(f"{message} (see --help)")

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """The options of a whole command line."""
        options, unknown = self.parse_known_args(argv)
        if unknown:
            close = difflib.get_close_matches(unknown[0].split("=")[0], self._option_string_actions, 1)
            self.error(f"unknown option {unknown[0]!r}" + (f"; did you mean {close[0]}?" if close else ""))
        return options

    def add_source(self, option: str = "--input") -> None:
        """Options that name a DataFrame."""
        group = self.add_argument_group("input")
        group.add_argument(option, required=True, metavar="SOURCE", help="path or table name")
        group.add_argument(
            "--format",
            help="parquet, csv, libsvm, table, or any format that Spark reads; default: by the ending of the path",
        )
        group.add_argument(
            "--read-option", action="append", default=[], type=_pair, metavar="NAME=VALUE",
            help="option of Spark's reader, such as sep=';'; may be repeated",
        )  # fmt: skip

    def add_params(self, params: Params) -> None:
        """One option for each param, of the same name; those that are not given leave no trace."""
        group = self.add_argument_group(f"params of {type(params).__name__}")
        for param in params.params:
            default = f" (default: {params.getOrDefault(param)})" if params.hasDefault(param) else ""
            group.add_argument(
                f"--{param.name}", dest=f"param {param.name}", type=_converter(param), default=argparse.SUPPRESS,
                metavar="VALUE", help=(param.doc + default).replace("%", "%%"),
            )  # fmt: skip


def given_params(options: argparse.Namespace) -> dict[str, Any]:
    """The values of the params that the command line gives."""
    return {name.removeprefix("param "): value for name, value in vars(options).items() if name.startswith("param ")}


def _converter(param: Param[Any]) -> Callable[[str], Any]:
    """From an option's text to the param's value, by the param's own type converter."""

    def convert(text: str) -> Any:
        value: Any = text
        if param.typeConverter != TypeConverters.toString:
            value = _literal(text)
        if param.typeConverter == TypeConverters.toListString and isinstance(value, str):
            value = [name.strip() for name in value.split(",")]
        try:
            return param.typeConverter(value)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def _literal(text: str) -> Any:
    """A number, boolean, list or map; the text itself where it is none of these."""
    booleans = {"true": True, "false": False}
    if text.lower() in booleans:
        return booleans[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def read(spark: SparkSession, options: argparse.Namespace, defaults: ReadOptions = READ_OPTIONS) -> DataFrame:
    """The DataFrame that the options name; ``defaults`` are reader options by format, which they may override."""
    source = options.input
    kind = options.format or _format(source)
    spark.sparkContext.setLogLevel("OFF")  # some formats read rows for the schema; the error below says it all
    try:
        if kind == "table":
            return spark.table(source)
        settings = {**defaults.get(kind, {}), **dict(options.read_option)}
        return spark.read.format(kind).options(**settings).load(source)
    except (PySparkException, Py4JJavaError) as error:
        raise JobError(f"cannot read {source!r} as {kind}: {first_line(error)}") from error
    finally:
        spark.sparkContext.setLogLevel(LOG_LEVEL)


def _format(source: str) -> str:
    path = source.rstrip("/")
    for ending, kind in FORMATS.items():
        if path.endswith(ending):
            return kind
    if "/" in path or os.path.exists(path):
        raise JobError(f"cannot tell the format of {source!r} by its ending; give --format")
    return "table"


def require_free(spark: SparkSession, path: str, overwrite: bool) -> None:
    """Refuse an output that exists, before the work rather than after it."""
    if overwrite:
        return
    try:
        spark.read.text(path)  # a text source has a fixed schema: this only looks for the path
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return
        raise
    raise JobError(f"{path!r} exists; give another path or --overwrite")


def first_line(error: Exception) -> str:
    """The first line of a message: Spark's errors go on with query plans and stack traces."""
    text = str(error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else error)
    return text.strip().partition("\n")[0]


def run_job(job: Callable[[list[str], SparkSession | None], None], argv: list[str], spark: SparkSession | None) -> int:
    """Run a job and return its exit code: 0; 1 if training diverged; 2 if what the user gave is wrong.

    Such an ending is one line on stderr. Any other exception is a defect and keeps its stack trace.
    """
    try:
        job(argv, spark)
    except DivergedError as error:
        return _say(error, 1)
    except (JobError, SparkGDError, AnalysisException, IllegalArgumentException) as error:
        return _say(error, 2)
    return 0


def _say(error: Exception, code: int) -> int:
    print(f"error: {first_line(error)}", file=sys.stderr, flush=True)
    return code


def start_session(name: str) -> SparkSession:
    """The session of a job, with the settings that spark-submit was given."""
    spark = SparkSession.builder.appName(name).getOrCreate()
    spark.sparkContext.setLogLevel(LOG_LEVEL)
    return spark
