"""What a search over param maps and folds found: a table, and a plot of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from pyspark.ml.base import Model
from pyspark.ml.param import Param

from sparkgd.exceptions import SparkGDError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ParamMap: TypeAlias = Mapping["Param[Any]", Any]

REFUSED = "refused"
"""Status of a model that could not be trained at all."""


@dataclass(frozen=True)
class Trial:
    """One model of a search: a param map, trained without one fold and judged by it.

    Attributes
    ----------
    fold, map : int
    metric : float
        nan if there is no model.
    status, reason : str
        How training ended: one of `sparkgd.solvers.base.Status`, or ``refused`` with the error.
    solver : str
    iterations, rounds : int
    seconds : float
        Of the rounds that the model took part in, which it shares with others.
    model : Model or None
        Where sub-models are collected.
    error : SparkGDError or None
        Why there is no model.
    """

    fold: int
    map: int
    metric: float
    status: str
    reason: str
    solver: str = ""
    iterations: int = 0
    rounds: int = 0
    seconds: float = 0.0
    model: Model | None = None
    error: SparkGDError | None = None


def refused(fold: int, number: int, error: SparkGDError) -> Trial:
    """The trial of a model that could not be trained."""
    return Trial(fold, number, np.nan, REFUSED, str(error), error=error)


def table_of(trials: Sequence[Trial], maps: Sequence[ParamMap]) -> pd.DataFrame:
    """One row for each fold and map: params by name, metric, how training ended, rounds, seconds."""
    rows = [
        {
            "fold": trial.fold,
            "map": trial.map,
            **named(maps[trial.map]),
            "metric": trial.metric,
            "status": trial.status,
            "reason": trial.reason,
            **({} if "solver" in named(maps[trial.map]) else {"solver": trial.solver}),
            "iterations": trial.iterations,
            "rounds": trial.rounds,
            "seconds": trial.seconds,
        }
        for trial in sorted(trials, key=lambda each: (each.fold, each.map))
    ]
    return pd.DataFrame(rows)


def named(params: ParamMap) -> dict[str, Any]:
    """The values of a param map by name; those of several stages by stage and name where they would be confused."""
    names = [param.name for param in params]
    return {
        param.name if names.count(param.name) == 1 else f"{param.parent}.{param.name}": value
        for param, value in params.items()
    }


def label_of(params: ParamMap) -> str:
    """A param map in a few words."""
    return ", ".join(f"{name}={_short(value)}" for name, value in named(params).items()) or "defaults"


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else text[:21] + "..."


def metrics_by_map(trials: Sequence[Trial], maps: int) -> list[list[float]]:
    """Metrics of each fold, by map."""
    found: list[list[float]] = [[] for _ in range(maps)]
    for trial in sorted(trials, key=lambda each: each.fold):
        found[trial.map].append(trial.metric)
    return found


def best_map(averages: Sequence[float], is_larger_better: bool) -> int | None:
    """Position of the best average, the first of equals; None if all are nan."""
    values = np.array(averages, dtype=np.float64)
    if np.isnan(values).all():
        return None
    return int(np.nanargmax(values) if is_larger_better else np.nanargmin(values))


def plot_results(
    table: pd.DataFrame, metric: str, is_larger_better: bool, param: str | None = None, ax: Axes | None = None
) -> Axes:
    """Mean metric over the folds against a param, with standard errors; a line for each value of the other params.

    Maps without a metric in every fold have no mean; crosses say where they are.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'sparkgd[plot]'") from error
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
    params = list(table.columns[2 : table.columns.get_loc("metric")])
    axis = _axis_param(table, params) if param is None else param
    if axis not in params:
        raise ValueError(f"param={axis!r} is not in the grid, which has {params}")
    others = [name for name in params if name != axis and table[name].astype(str).nunique() > 1]
    groups = table.groupby([table[name].astype(str) for name in others], sort=False) if others else [((), table)]
    for values, group in groups:
        _draw(ax, group, axis, ", ".join(f"{name}={value}" for name, value in zip(others, values, strict=True)))
    _mark_best(ax, table, axis, is_larger_better)
    _mark_missing(ax, table, axis)
    if _is_logarithmic(table[axis]):
        ax.set_xscale("log")
    ax.set(xlabel=axis, ylabel=metric)
    folds = table["fold"].nunique()
    title = f"{metric}: mean of {folds} folds and standard error" if folds > 1 else metric
    ax.set_title(title, loc="left", fontsize=11)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax


def _axis_param(table: pd.DataFrame, params: Sequence[str]) -> str:
    """The number that has most values in the grid."""
    numbers = [name for name in params if pd.api.types.is_numeric_dtype(table[name])]
    return max(numbers or params, key=lambda name: table[name].astype(str).nunique())


def _is_logarithmic(values: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return False
    different = np.unique(values)
    return bool(len(different) > 2 and different[0] > 0.0 and different[-1] / different[0] >= 50.0)


def _draw(ax: Axes, group: pd.DataFrame, axis: str, label: str) -> None:
    complete = group.groupby("map").filter(lambda trials: trials["metric"].notna().all())
    if complete.empty:
        return
    means = complete.groupby(axis)["metric"].agg(["mean", "std", "count"])
    error = (means["std"] / np.sqrt(means["count"])).fillna(0.0)
    x = means.index if pd.api.types.is_numeric_dtype(means.index) else means.index.astype(str)
    ax.errorbar(x, means["mean"], yerr=error, marker="o", ms=4, capsize=3, lw=1.2, label=label or None)


def _mark_best(ax: Axes, table: pd.DataFrame, axis: str, is_larger_better: bool) -> None:
    """A ring around the best map."""
    means = table.groupby("map").agg(metric=("metric", lambda values: values.mean(skipna=False)), x=(axis, "first"))
    means = means.dropna(subset=["metric"])
    if len(means):
        best = means.loc[means["metric"].idxmax() if is_larger_better else means["metric"].idxmin()]
        x = best["x"] if pd.api.types.is_numeric_dtype(table[axis]) else str(best["x"])
        ax.plot([x], [best["metric"]], "o", ms=12, mfc="none", mec="tab:red", label=f"best: {best['metric']:.5g}")


def _mark_missing(ax: Axes, table: pd.DataFrame, axis: str) -> None:
    """Crosses along the upper edge where maps lack a metric, which could be anywhere."""
    missing = table[table["metric"].isna()]
    if len(missing):
        values = missing[axis].drop_duplicates()
        x = values if pd.api.types.is_numeric_dtype(table[axis]) else values.astype(str)
        label = " or ".join(missing["status"].drop_duplicates())
        edge = ax.get_xaxis_transform()
        ax.plot(x, [0.97] * len(x), "x", ms=8, mew=2, color="tab:gray", transform=edge, label=label)
