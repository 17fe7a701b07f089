"""What the jobs that train tell at their end: a table and a JSON report; and a line per round."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyspark
from job_evaluation import Metrics

import sparkgd

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _done(record: Any) -> str:
    """What a round has come to, or that it prepares those over all rows."""
    if record.iteration < 0:
        return f"preparing: {record.stage}"
    norm = f"gradient norm {record.gradient_norm:<9.2e}"
    return f"iteration {record.iteration:<4} objective {record.objective:<12.6g} {norm}"


class RoundLines:
    """Callback that prints a line per round: the first 20, then at most one a second.

    spark-submit passes a job's output through a pipe, so a line that rewrites itself would not be seen as one.
    """

    def __init__(self) -> None:
        self._printed_at = -math.inf

    def __call__(self, record: Any) -> None:
        """Print a round, as `sparkgd.training.loop.Record` describes it."""
        now = time.monotonic()
        if record.round <= 20 or now - self._printed_at >= 1.0:
            self._printed_at = now
            print(
                f"round {record.round:<4} {_done(record):<60} {record.seconds:.3f} s",
                flush=True,
            )


def print_table(
    options: argparse.Namespace, model: Any, seconds: float, metrics: Metrics | None, more: Mapping[str, str] = EMPTY
) -> None:
    """The outcome in a dozen lines; ``more`` are lines before those of the files."""
    summary = model.summary
    rows = sum(part.rows for part in summary.partitionStats)
    lines = {
        "data": f"{options.input}: {rows:,} rows, {model.numFeatures:,} features",
        "status": f"{summary.status}: {summary.statusReason}",
        "solver": f"{summary.solver} ({summary.execution} execution): {summary.solverReason}",
        "rounds": f"{summary.totalRounds} ({summary.totalIterations} iterations)",
        "seconds": f"{seconds:.2f} (ingest {summary.ingestSeconds:.2f}, rounds {sum(summary.secondsPerRound):.2f})",
        "objective": f"{summary.objective:.8g}",
        "held out": _metrics_text(metrics),
        **more,
        "model": options.model,
        "report": options.report,
        "plot": options.plot,
    }
    title = type(model).__name__.removesuffix("Model")
    print(f"\n{title}\n{'-' * len(title)}")
    for name, text in lines.items():
        if text:
            print(f"{name:<10} {text}")


def _metrics_text(metrics: Metrics | None) -> str:
    if metrics is None:
        return ""
    values = [f"{name} {value:.4f}" for name, value in metrics.items() if name != "rows"]
    return f"{metrics['rows']:,} rows" + (f": {', '.join(values)}" if values else "")


def write_report(
    options: argparse.Namespace,
    estimator: Any,
    model: Any,
    seconds: float,
    metrics: Metrics | None,
    more: Mapping[str, Any] = EMPTY,
) -> None:
    """All that is known of the fit, as JSON; ``more`` are entries of the job itself."""
    summary = model.summary
    history = {
        name: [_finite(value) for value in getattr(summary, name)]
        for name in ("objectiveHistory", "gradientNormHistory", "validationHistory", "secondsPerRound")
    }
    report = {
        "sparkgd": sparkgd.__version__,
        "pyspark": pyspark.__version__,
        "estimator": type(estimator).__name__,
        "params": {param.name: estimator.getOrDefault(param) for param in estimator.params if estimator.isSet(param)},
        "input": options.input,
        "rows": sum(part.rows for part in summary.partitionStats),
        "features": model.numFeatures,
        "status": summary.status,
        "statusReason": summary.statusReason,
        "solver": summary.solver,
        "solverReason": summary.solverReason,
        "execution": summary.execution,
        "totalRounds": summary.totalRounds,
        "totalIterations": summary.totalIterations,
        "objective": _finite(summary.objective),
        "seconds": seconds,
        "ingestSeconds": summary.ingestSeconds,
        "heldOut": {name: _finite(value) for name, value in (metrics or {}).items()},
        "model": options.model,
        **more,
        **history,
    }
    options.report.write_text(json.dumps(report, indent=2, default=str) + "\n")


def _finite(value: float) -> float | None:
    """The value as JSON can hold it."""
    return value if math.isfinite(value) else None


def write_plot(path: Path, plot: Callable[[], Any]) -> None:
    """A plot as PNG."""
    import matplotlib

    matplotlib.use("Agg")  # a job has no screen
    plot().figure.savefig(path, format="png", dpi=150)
