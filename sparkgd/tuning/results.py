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
from sparkgd.ml.display.axes import given_or_new
from sparkgd.solvers.base import Status

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ParamMap: TypeAlias = Mapping["Param[Any]", Any]

RETIRED = Status.RETIRED.value
"""Status of a model whose map did not go on."""

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
    """One row for each fold and map: params by name, metric, how training ended, rounds, seconds.

    Params come before the metric, those that only some maps set too. A grid of solvers has the column ``solver`` as
    the maps say it.
    """
    values = [named(params) for params in maps]
    names = list(dict.fromkeys(name for each in values for name in each))
    rows = [
        {
            "fold": trial.fold,
            "map": trial.map,
            **{name: values[trial.map].get(name) for name in names},
            **{name: value for name, value in _told(trial).items() if name not in names},
        }
        for trial in sorted(trials, key=lambda each: (each.fold, each.map))
    ]
    return pd.DataFrame(rows)


def _told(trial: Trial) -> dict[str, Any]:
    """The columns that tell how a model did."""
    return {
        "metric": trial.metric,
        "status": trial.status,
        "reason": trial.reason,
        "solver": trial.solver,
        "iterations": trial.iterations,
        "rounds": trial.rounds,
        "seconds": trial.seconds,
    }


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


def averages_of(trials: Sequence[Trial], maps: int) -> list[float]:
    """Mean metric over the folds, by map; nan without any."""
    return [float(np.mean(metrics)) if metrics else np.nan for metrics in metrics_by_map(trials, maps)]


def chosen_map(trials: Sequence[Trial], maps: int, is_larger_better: bool) -> int | None:
    """The best of the maps that were not retired; of those that were only if no other has an average."""
    averages, retired = averages_of(trials, maps), {trial.map for trial in trials if trial.status == RETIRED}
    finished = [np.nan if number in retired else average for number, average in enumerate(averages)]
    best = best_map(finished, is_larger_better)
    return best_map(averages, is_larger_better) if best is None else best


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
    ax = given_or_new(ax)
    params = list(table.columns[2 : table.columns.get_loc("metric")])
    axis = _axis_param(table, params) if param is None else param
    if axis not in params and param is not None:
        raise ValueError(f"param={axis!r} is not in the grid, which has {params}")
    others = [name for name in params if name != axis and table[name].astype(str).nunique() > 1]
    groups = table.groupby([table[name].astype(str) for name in others], sort=False) if others else [((), table)]
    for values, group in groups:
        _draw(ax, group, axis, ", ".join(f"{name}={value}" for name, value in zip(others, values, strict=True)))
    _mark_missing(ax, table, axis)
    _mark_retired(ax, table, axis)
    _mark_best(ax, table, axis, is_larger_better)
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
    """The number that has most values in the grid; the maps themselves, if these are all defaults."""
    numbers = [name for name in params if _are_numbers(table[name])]
    return max(numbers or params or ["map"], key=lambda name: table[name].astype(str).nunique())


def _are_numbers(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))


def _places(values: pd.Series) -> pd.Series:
    """Where to draw values along an axis: numbers at their own place, others as words in their order."""
    return values if _are_numbers(values) else values.astype(str)


def _is_logarithmic(values: pd.Series) -> bool:
    if not _are_numbers(values):
        return False
    different = np.unique(values.dropna())
    return bool(len(different) > 2 and different[0] > 0.0 and different[-1] / different[0] >= 50.0)


def _mean(values: pd.Series) -> float:
    """The mean over the folds; nan where a fold has no model."""
    return float(values.mean(skipna=False))


def _draw(ax: Axes, group: pd.DataFrame, axis: str, label: str) -> None:
    metrics = group["metric"].groupby(_places(group[axis]), sort=_are_numbers(group[axis]))
    means = metrics.agg(mean=_mean, std="std", count="count")
    error = (means["std"] / np.sqrt(means["count"])).fillna(0.0)
    ax.errorbar(means.index, means["mean"], yerr=error, marker="o", ms=4, capsize=3, lw=1.2, label=label or None)


def _mark_best(ax: Axes, table: pd.DataFrame, axis: str, is_larger_better: bool) -> None:
    """A ring around the best map, one that was not retired if there is any."""
    placed = table[["map", "metric"]].assign(place=_places(table[axis]), retired=table["status"] == RETIRED)
    means = placed.groupby("map").agg(metric=("metric", _mean), place=("place", "first"), retired=("retired", "any"))
    means = means.dropna(subset=["metric"])
    if len(means):
        means = means[~means["retired"] | means["retired"].all()]
        best = means.loc[means["metric"].idxmax() if is_larger_better else means["metric"].idxmin()]
        name = f"best: {best['metric']:.5g}"
        ax.plot([best["place"]], [best["metric"]], "o", ms=12, mfc="none", mec="tab:red", label=name)


def _mark_retired(ax: Axes, table: pd.DataFrame, axis: str) -> None:
    """Squares around the means of maps that were retired, which are of fewer iterations than others."""
    maps = table.loc[table["status"] == RETIRED, "map"].unique()
    if len(maps):
        of_maps = table[table["map"].isin(maps)].assign(place=_places(table[axis]))
        means = of_maps.groupby("map").agg(metric=("metric", _mean), place=("place", "first"))
        ax.plot(means["place"], means["metric"], "s", ms=9, mfc="none", mec="tab:gray", label=RETIRED)


def _mark_missing(ax: Axes, table: pd.DataFrame, axis: str) -> None:
    """Crosses along the upper edge where maps lack a metric, which could be anywhere."""
    missing = table["metric"].isna()
    if missing.any():
        places = _places(table[axis])[missing].drop_duplicates()
        label = " or ".join(table["status"][missing].drop_duplicates())
        edge = ax.get_xaxis_transform()
        ax.plot(places, [0.97] * len(places), "x", ms=8, mew=2, color="tab:gray", transform=edge, label=label)
