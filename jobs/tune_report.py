"""The table of a search by jobs/tune.py: a line for each param map, best first, and the file of all trials."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.ml.param import Param

ENDINGS = (".csv", ".json")
"""Of a file of results."""


def ranking(results: pd.DataFrame, maps: int, larger_is_better: bool) -> pd.DataFrame:
    """One row for each map, best first, then those that were retired, and those without a metric last.

    Parameters
    ----------
    results : DataFrame
        Of a validator's model: a row for each fold and map.
    maps : int
    larger_is_better : bool

    Returns
    -------
    DataFrame
        ``map``, ``metric`` (its mean, nan if a fold has none), ``error`` (standard error of that), ``rounds`` (mean),
        ``status`` (of all folds) and ``reason`` (of the first fold without a metric, else empty).
    """
    rows = []
    for number in range(maps):
        trials = results[results["map"] == number]
        metrics, failed = trials["metric"], trials[trials["metric"].isna()]
        counts = trials["status"].value_counts()
        status = counts.index[0] if len(counts) == 1 else ", ".join(f"{n} {name}" for name, n in counts.items())
        rows.append({
            "map": number,
            "metric": metrics.mean(skipna=False),
            "error": metrics.std() / math.sqrt(len(trials)),
            "rounds": round(trials["rounds"].mean()),
            "status": status,
            "reason": "" if failed.empty else failed["reason"].iloc[0],
        })  # fmt: skip
    order = pd.DataFrame(rows).sort_values("metric", ascending=not larger_is_better, na_position="last", kind="stable")
    late = order["status"].str.contains("retired").astype(int) + 2 * order["metric"].isna()
    return order.loc[late.sort_values(kind="stable").index]


def table(ranked: pd.DataFrame, maps: Sequence[Mapping[Param[Any], Any]], metric: str) -> list[str]:
    """The ranking as lines of text."""
    names = list(dict.fromkeys(param.name for params in maps for param in params))
    has_error = bool(ranked["error"].notna().any())
    head = ["", *names, metric, *(["std error"] if has_error else []), "rounds", "status"]
    lines = [head]
    for rank, row in enumerate(ranked.itertuples(), start=1):
        params = {param.name: value for param, value in maps[int(row.map)].items()}
        is_missing = math.isnan(row.metric)
        errors = [("" if math.isnan(row.error) else f"{row.error:.2g}")] if has_error else []
        lines.append([
            "" if is_missing else str(rank),
            *(text_of(params[name]) if name in params else "default" for name in names),
            "none" if is_missing else f"{row.metric:.6g}",
            *errors,
            str(row.rounds),
            f"{row.status}: {row.reason}" if row.reason else row.status,
        ])  # fmt: skip
    widths = [max(len(line[k]) for line in lines) for k in range(len(head) - 1)]
    return ["  ".join([text.ljust(width) for text, width in zip(line[:-1], widths, strict=True)] + line[-1:])
            for line in lines]  # fmt: skip


def text_of(value: Any) -> str:
    """A value of a param, as people read it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def records(results: pd.DataFrame) -> list[dict[str, Any]]:
    """The trials as JSON holds them, numbers to the last digit."""
    rows = results.to_dict(orient="records")
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str) or value is None else str(value)


def write_results(results: pd.DataFrame, path: Path) -> None:
    """All trials, a row for each fold and map, as CSV or JSON by the ending of the path."""
    if path.suffix == ".csv":
        results.to_csv(path, index=False)
    else:
        path.write_text(json.dumps(records(results), indent=2) + "\n")
