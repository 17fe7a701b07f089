"""The command line of the jobs: an option for every param, examples first, and errors as one line."""

from __future__ import annotations

import argparse
import ast
import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from job_io import JobError
from pyspark.ml.param import Param, Params, TypeConverters


class Parser(argparse.ArgumentParser):
    """Command line whose errors are one line, with the closest known option.

    Parameters
    ----------
    description : str
    command : str, optional
        How the job is started, up to its options.
    examples : sequence of str
        Options of whole command lines, which ``--help`` begins with.
    """

    def __init__(self, description: str, command: str = "", examples: Sequence[str] = ()) -> None:
        usage = f"{command} [options]" if command else None  # argparse would name every option there is
        super().__init__(description=description, usage=usage, allow_abbrev=False)
        self._examples = [f"  {command} {example}" for example in examples]

    def format_help(self) -> str:
        """The text of ``--help``."""
        first = "\n".join(["examples:", *self._examples, "", ""]) if self._examples else ""
        return first + super().format_help()

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
        group.add_argument(
            "--remote", metavar="URL",
            help="server of Spark Connect, such as sc://host:15002; start the job by python then, not by spark-submit",
        )  # fmt: skip

    def add_params(self, params: Params) -> None:
        """One option for each param, of the same name; those that are not given leave no trace."""
        group = self.add_argument_group(f"params of {type(params).__name__}")
        for param in params.params:
            default = f" (default: {params.getOrDefault(param)})" if params.hasDefault(param) else ""
            group.add_argument(
                f"--{param.name}", dest=f"param {param.name}", type=converter(param), default=argparse.SUPPRESS,
                metavar="VALUE", help=(param.doc + default).replace("%", "%%"),
            )  # fmt: skip


def given_params(options: argparse.Namespace) -> dict[str, Any]:
    """The values of the params that the command line gives."""
    return {name.removeprefix("param "): value for name, value in vars(options).items() if name.startswith("param ")}


def converter(param: Param[Any]) -> Callable[[str], Any]:
    """From an option's text to the param's value, by the param's own type converter."""

    def convert(text: str) -> Any:
        value: Any = text
        if param.typeConverter != TypeConverters.toString:
            value = _literal(text)
        if param.typeConverter == TypeConverters.toListString and isinstance(value, str):
            value = names(value)
        try:
            return param.typeConverter(value)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def names(text: str) -> list[str]:
    """The names of a list with commas."""
    return [name.strip() for name in text.split(",")]


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
