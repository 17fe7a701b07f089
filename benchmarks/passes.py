"""Objective against passes over the data: local SGD and local SVRG, gd, l-bfgs, and MLlib.

    python -m benchmarks.passes --output passes

What counts as a pass: an epoch of a local solver, a round of sums (whatever the number of points), an iteration of
MLlib, a round of preparation. Not counted, and to the local solvers' advantage: the first round of localSVRG and every
round of localSGD also sum value and gradient at the point that they leave, which is a second scan of the same block in
the same round. By scans instead of rounds localSGD costs twice what the axis says. The final evaluation of localSGD is
not counted either. Fits run in this process on three partitions of shuffled rows, with default settings; the defaults
of the local solvers (cooling, averaging, scales of columns) were chosen on these very problems.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reference_problems import blocks_of, settings_of
from benchmarks.session import local_session
from sparkgd.kernels import Block
from sparkgd.training.fit import plan_of
from sparkgd.training.loop import Record, succeeded, train
from sparkgd.training.stopping import Stopping
from tests.support.datasets import Problem, all_problems
from tests.support.plans import training_set

PROBLEMS = ("kdd99.logistic_l2_0.0001", "imdb.logistic_l2_0.0001", "mnist.multinomial_l2_0.001")
SOLVERS = ("localSGD", "localSVRG", "l-bfgs", "gd")
PASSES = 15
PARTITIONS = 3
RESULTS = Path(__file__).parent / "results"

Curve = list[tuple[int, float]]
"""Passes, and the objective's relative gap to the optimum after them."""


def shuffled(blocks: list[Block]) -> list[Block]:
    """The rows of all blocks in a random order, in as many blocks."""
    from scipy import sparse

    features = sparse.vstack([sparse.csr_array(block.features._matrix()) for block in blocks]).tocsr()
    label = np.concatenate([block.label for block in blocks])
    found, start = [], 0
    for rows in np.array_split(np.random.default_rng(0).permutation(len(label)), PARTITIONS):
        part = features[rows]
        values = type(blocks[0].features)(
            part.data, part.indices.astype(np.int32), part.indptr.astype(np.int64), features.shape[1]
        )
        found.append(Block(values, label[rows], np.ones(len(rows)), first_row=start))
        start += len(rows)
    return found


def curve(problem: Problem, blocks: list[Block], solver: str) -> Curve:
    """One fit of a solver."""
    data = training_set(blocks)
    settings = replace(settings_of(problem, data.statistics, solver), stopping=Stopping(PASSES, 0.0))
    rounds_at: list[int] = []

    def note(record: Record) -> bool:
        if record.iteration >= len(rounds_at):
            rounds_at.append(record.round)
        return record.round >= PASSES

    outcome = succeeded(train(data.rows, [plan_of(settings, data)], [note])[0])
    if solver == "localSGD":  # the value of entry k is that after k epochs
        rounds_at = list(range(len(outcome.objectives)))
    gaps = [value / problem.objective - 1.0 for value in outcome.objectives]
    return list(zip(rounds_at, gaps, strict=False))


def mllib(problem: Problem, spark: Any) -> Curve:
    """MLlib's ``objectiveHistory``, entry k after k passes at least."""
    from pyspark.ml.classification import LogisticRegression

    from benchmarks.cases import shared

    scale = 1.0 / 255.0 if problem.dataset == "mnist" else 1.0
    frame = shared(problem.dataset, scale=scale)(spark)
    history = (
        LogisticRegression(maxIter=PASSES, regParam=problem.reg, standardization=problem.standardization, tol=0.0)
        .fit(frame)
        .summary.objectiveHistory
    )
    return [(k, value / problem.objective - 1.0) for k, value in enumerate(history)]


def plot(curves: dict[str, dict[str, Curve]], path: Path) -> None:
    """One panel a problem."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(curves), 4.4), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for panel, (name, by_solver) in zip(panels, curves.items(), strict=True):
        for solver, points in by_solver.items():
            passes, gaps = zip(*points, strict=True)
            panel.semilogy(passes, np.maximum(gaps, 1e-12), marker="o", markersize=3, label=solver)
        panel.axhline(0.01, color="grey", linewidth=0.8, linestyle=":")
        panel.axhline(1e-4, color="grey", linewidth=0.8, linestyle=":")
        panel.set(title=name, xlabel="passes over the data", ylim=(1e-8, 100.0), xlim=(0, PASSES))
    panels[0].set_ylabel("objective above the optimum, relative")
    panels[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="passes", help="name of the files under benchmarks/results")
    parser.add_argument("--no-mllib", dest="mllib", action="store_false", help="leave MLlib out")
    options = parser.parse_args()
    spark = local_session("local[2]") if options.mllib else None
    curves: dict[str, dict[str, Curve]] = {}
    for problem in [p for p in all_problems() if p.id in PROBLEMS]:
        blocks = shuffled(blocks_of(problem))
        found = {solver: curve(problem, blocks, solver) for solver in SOLVERS}
        if spark is not None:
            found["MLlib"] = mllib(problem, spark)
        curves[problem.id] = found
        for solver, points in found.items():
            sys.stdout.write(f"{problem.id} {solver}: {[(k, float(f'{gap:.2g}')) for k, gap in points]}\n")
    if spark is not None:
        spark.stop()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{options.output}.json").write_text(json.dumps(curves, indent=1) + "\n")
    plot(curves, RESULTS / f"{options.output}.png")


if __name__ == "__main__":
    main()
