"""The grid of jobs/tune.py: param maps from a YAML or JSON file, refused before any work where they cannot be right."""

from __future__ import annotations

import argparse
import difflib
import importlib
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from job_io import JobError
from job_parser import converter
from pyspark.ml.param import Param

from sparkgd.exceptions import InvalidParamError

FORMAT = 'a grid maps params to lists of values, as {"regParam": [0.01, 0.1]}, or is a list of such maps'

ParamMap = dict[Param[Any], Any]


def read_grid(path: Path, estimator: Any, given: Collection[str]) -> list[ParamMap]:
    """All param maps of a grid file: every combination of its values; those of several grids one after the other.

    Parameters
    ----------
    path : Path
    estimator : LinearEstimator
    given : collection of str
        Params that the command line sets.

    Raises
    ------
    JobError
        If the file cannot be read, or a param or value is not allowed.
    """
    content = _content(path)
    grids = content if isinstance(content, list) else [content]
    if not grids or not all(isinstance(grid, dict) and grid for grid in grids):
        raise JobError(f"--grid {str(path)!r}: {FORMAT}")
    maps = [params for grid in grids for params in _product(grid, estimator, given, path)]
    for params in maps:
        try:
            estimator.copy(params).checkParams()
        except InvalidParamError as error:
            raise JobError(f"--grid {str(path)!r}: {error}") from error
    return maps


def _content(path: Path) -> Any:
    """What a file holds, by its ending."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"cannot read --grid {str(path)!r}: {error}") from error
    if path.suffix == ".json":
        parse, errors = json.loads, (ValueError,)
    elif path.suffix in (".yaml", ".yml"):
        try:
            yaml = importlib.import_module("yaml")
        except ImportError as error:
            raise JobError(
                f"reading {path.name!r} needs PyYAML: pip install pyyaml; or write the grid as JSON"
            ) from error
        parse, errors = yaml.safe_load, (yaml.YAMLError,)
    else:
        raise JobError(f"cannot tell the format of --grid {str(path)!r}; its name must end in .json, .yaml or .yml")
    try:
        return parse(text)
    except errors as error:
        raise JobError(f"--grid {str(path)!r} is no {path.suffix[1:]}: {' '.join(str(error).split())}") from error


def _product(grid: Mapping[str, Any], estimator: Any, given: Collection[str], path: Path) -> list[ParamMap]:
    values = {}
    for name, found in grid.items():
        try:
            param = _param(name, estimator, given)
            values[param] = _values(param, found)
        except JobError as error:
            raise JobError(f"--grid {str(path)!r}: {error}") from error
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def _param(name: str, estimator: Any, given: Collection[str]) -> Param[Any]:
    """The param of a name.

    Raises
    ------
    JobError
        If the estimator has no such param, or it must be the same for all models.
    """
    allowed = [param.name for param in estimator.params if not param.name.endswith(("Col", "Cols"))]
    if name not in allowed:
        if estimator.hasParam(str(name)):
            raise JobError(f"{name} names columns, which are the same for the whole grid: give it as an option")
        close = difflib.get_close_matches(str(name), allowed, 1)
        meant = f"did you mean {close[0]}? It has " if close else "it has "
        raise JobError(f"{type(estimator).__name__} has no param {name!r}; {meant}{', '.join(sorted(allowed))}")
    if name in given:
        raise JobError(f"{name} is in the grid and an option as well; leave out one of them")
    param: Param[Any] = estimator.getParam(name)
    return param


def _values(param: Param[Any], found: Any) -> Sequence[Any]:
    """The values of a param, as it has them.

    Raises
    ------
    JobError
        If there are none, or one has the wrong type.
    """
    name = param.name
    if not isinstance(found, list):
        raise JobError(f"{name}: {found!r} is no list; give one, such as [{json.dumps(found, default=str)}]")
    if not found:
        raise JobError(f"{name} has an empty list of values; give it one at least, or leave {name} out")
    convert = converter(param)
    values = []
    for value in found:
        try:  # text is read as on a command line: in YAML 1e-3 is text
            values.append(convert(value) if isinstance(value, str) else param.typeConverter(value))
        except (TypeError, ValueError, argparse.ArgumentTypeError) as error:
            raise JobError(f"{name}: {value!r} is not allowed: {error}") from error
    return values
