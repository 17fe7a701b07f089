"""Side by side with MLlib and scikit-learn: ``make bench``.

Rivals alternate within one session (A B C, A B C, ...) after a warm-up each, and medians are quoted: on a machine whose
speed drifts, only ratios within one run mean anything. One more run of each, not timed, measures peak memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

import numpy as np
import pyspark
from pyspark.sql import SparkSession

from benchmarks.cases import CASES, SHARED, SMOKE, Case, arrays
from benchmarks.memory import PeakMemory
from benchmarks.rivals import Rival, Run, mllib, objective, scikit_learn, sparkgd
from benchmarks.session import local_session

RESULTS = Path(__file__).parent / "results"
OURS, THEIRS = "sparkgd", "MLlib"


@dataclass(frozen=True)
class Result:
    """What one rival did on one case.

    ``gap`` is the objective's distance from the optimum, relative to it; ``seconds_to_mllib`` and ``seconds_to_1e6``
    are when the fit passed MLlib's result and 1e-6 of the optimum, where it reports progress (None: never, unknown).
    """

    case: str
    rival: str
    seconds: float
    low: float
    high: float
    objective: float
    gap: float
    rounds: int | None
    seconds_to_mllib: float | None
    seconds_to_1e6: float | None
    megabytes: float
    status: str


def main() -> int:
    """Run the cases; with ``--check``, exit 1 if a ratio to MLlib falls below the case's target."""
    options = _options()
    spark = local_session(options.master)
    results: list[Result] = []
    missed = []
    for case in SMOKE if options.smoke else CASES:
        if options.case and not any(word in case.name for word in options.case):
            continue
        try:
            found = _run_case(case, spark, options.repeats, options.sklearn)
        except FileNotFoundError as error:
            print(f"{case.name}: left out: {error}", flush=True)
            continue
        results.extend(found)
        ratio, honest = _verdict(found)
        print(f"{case.name}: {ratio:.2f} times MLlib's speed (target {case.target:g})", flush=True)
        if ratio < case.target or not honest:
            missed.append(
                f"{case.name}: ratio {ratio:.2f}, target {case.target:g}, objective not above MLlib's: {honest}"
            )
    spark.stop()
    if options.output:
        _write(results, options.output)
    for line in missed:
        print("MISSED", line)
    return 1 if options.check and missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="words of the names of the cases to run; default: all")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each rival")
    parser.add_argument("--smoke", action="store_true", help="two small synthetic cases")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    parser.add_argument("--no-sklearn", dest="sklearn", action="store_false", help="leave scikit-learn out")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--output", help="name of the result files; default: none are written")
    return parser.parse_args()


def _run_case(case: Case, spark: SparkSession, repeats: int, with_sklearn: bool) -> list[Result]:
    frame = case.load(spark).cache()
    frame.count()
    features, label = arrays(frame)
    rivals: dict[str, Rival] = {OURS: sparkgd(case, frame), THEIRS: mllib(case, frame)}
    if with_sklearn:
        rivals.update(scikit_learn(case, features, label))
    runs: dict[str, list[Run]] = {name: [] for name in rivals}
    megabytes = {}
    for name, rival in rivals.items():
        with PeakMemory() as memory:
            rival()  # also the warm-up
        megabytes[name] = memory.megabytes
    for _ in range(repeats):
        for name, rival in rivals.items():
            runs[name].append(rival())
            print(f"  {case.name}, {name}: {runs[name][-1].seconds:.2f} s", flush=True)
    frame.unpersist()
    values = {name: objective(case, features, label, done[-1]) for name, done in runs.items()}
    best = _optimum(case, values)
    return [_result(case, name, done, values, best, megabytes[name]) for name, done in runs.items()]


def _optimum(case: Case, values: dict[str, float]) -> float:
    """The certified optimum, or the best that anyone found."""
    if case.reference is None:
        return min(values.values())
    for line in (SHARED / "reference_optima.jsonl").read_text().splitlines():
        problem = json.loads(line)
        if problem["id"] == case.reference:
            return float(problem["objective"])
    raise KeyError(case.reference)


def _result(case: Case, name: str, runs: list[Run], values: dict[str, float], best: float, megabytes: float) -> Result:
    seconds = [run.seconds for run in runs]
    curve = runs[-1].curve
    return Result(
        case=case.name,
        rival=name,
        seconds=statistics.median(seconds),
        low=min(seconds),
        high=max(seconds),
        objective=values[name],
        gap=(values[name] - best) / abs(best),
        rounds=runs[-1].rounds,
        seconds_to_mllib=next((t for t, value in curve if value <= values[THEIRS]), None),
        seconds_to_1e6=next((t for t, value in curve if value <= best + 1e-6 * abs(best)), None),
        megabytes=megabytes,
        status=runs[-1].status,
    )


def _verdict(results: list[Result]) -> tuple[float, bool]:
    """MLlib's seconds over sparkgd's, and whether sparkgd's objective is not above MLlib's."""
    by_name = {result.rival: result for result in results}
    ours, theirs = by_name[OURS], by_name[THEIRS]
    return theirs.seconds / ours.seconds, ours.objective <= theirs.objective * (1 + 1e-9)


def _write(results: list[Result], name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    about = {"spark": pyspark.__version__, "python": platform.python_version(), "numpy": np.__version__,
             "cores": os.cpu_count(), "results": [asdict(result) for result in results]}  # fmt: skip
    (RESULTS / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(_table(results))
    _plot(results, RESULTS / f"{name}.png")


def _table(results: list[Result]) -> str:
    lines = [
        "| case | who | seconds (median; low - high) | MLlib / this | gap to optimum | rounds | s to MLlib's result "
        "| s to 1e-6 | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    theirs = {result.case: result.seconds for result in results if result.rival == THEIRS}
    for r in results:
        cells = [
            r.case, r.rival, f"{r.seconds:.2f} ({r.low:.2f} - {r.high:.2f})", f"{theirs[r.case] / r.seconds:.2f}",
            f"{max(r.gap, 0.0):.1e}", _cell(r.rounds), _cell(r.seconds_to_mllib), _cell(r.seconds_to_1e6),
            f"{r.megabytes:.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _plot(results: list[Result], path: Path) -> None:
    from matplotlib import pyplot

    cases = list(dict.fromkeys(result.case for result in results))
    theirs = {result.case: result.seconds for result in results if result.rival == THEIRS}
    ours = {result.case: result.seconds for result in results if result.rival == OURS}
    ratios = [theirs[case] / ours[case] for case in cases]
    figure, ax = pyplot.subplots(figsize=(8, 0.45 * len(cases) + 1.2), layout="constrained")
    bars = ax.barh(cases[::-1], ratios[::-1], color="#3b75af")
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.axvline(1.0, color="black", linewidth=1)
    ax.set_xlabel("MLlib's seconds / sparkgd's, cold fit, cached DataFrame")
    ax.margins(x=0.1)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
