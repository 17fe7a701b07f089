"""Every reference problem by some solvers: rounds, seconds and the relative gap to the certified optimum.

    python -m benchmarks.reference_problems --solvers auto l-bfgs --skip mnist --output reference_problems.md

Fits run with default settings (100 iterations, tol 1e-6) from a cold start: in this process, or with ``--cluster`` by
Spark jobs on two local cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import reduce
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from benchmarks.session import local_session
from sparkgd.data.statistics import Statistics
from sparkgd.engine.base import SAMPLED_BYTES, Engine, Packing
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.driver import DriverEngine
from sparkgd.exceptions import IncompatibleError
from sparkgd.kernels import Block
from sparkgd.kernels.features import CsrFeatures, DenseFeatures
from sparkgd.kernels.local_rows import LocalRows
from sparkgd.losses import HingeLoss, LogisticLoss, Loss, MultinomialLoss, PoissonLoss, SquaredHingeLoss, SquaredLoss
from sparkgd.penalties import ElasticNet, Penalty
from sparkgd.reductions.sample import SAMPLE_BYTES, RowSample
from sparkgd.solvers.settings import SolverSettings
from sparkgd.training.fit import plan_of
from sparkgd.training.loop import succeeded, train
from sparkgd.training.outline import TrainingSet
from sparkgd.training.settings import FitSettings
from sparkgd.training.stopping import Stopping
from tests.support.datasets import SHARED, Problem, all_problems, load
from tests.support.plans import sample_from, training_set

LOSSES: dict[str, type[Loss]] = {
    "logistic": LogisticLoss,
    "squared": SquaredLoss,
    "poisson": PoissonLoss,
    "hinge": HingeLoss,
    "sqhinge": SquaredHingeLoss,
}
DIVISORS = {("mnist", "multinomial"): 255.0, ("pendigits", "multinomial"): 100.0}
POSITIVE = {"covtype20k": lambda label: label == 1.0, "hflights": lambda label: label > 15.0}
PARTITIONS = 3


def blocks_of(problem: Problem) -> list[Block]:
    features, label = load(problem.dataset)
    values = features.data / DIVISORS.get((problem.dataset, problem.loss), 1.0)
    if problem.loss in ("logistic", "hinge", "sqhinge"):
        label = POSITIVE.get(problem.dataset, lambda y: y == y.max())(label).astype(np.float64)
    columns = features.shape[1]
    is_dense = len(values) > 0.5 * features.shape[0] * columns
    blocks = []
    for rows in np.array_split(np.arange(len(label)), PARTITIONS):
        start, stop = features.indptr[rows[0]], features.indptr[rows[-1] + 1]
        indptr = (features.indptr[rows[0] : rows[-1] + 2] - start).astype(np.int64)
        part = CsrFeatures(values[start:stop], features.indices[start:stop], indptr, columns)
        packed = DenseFeatures(part.dense()) if is_dense else part
        blocks.append(Block(packed, label[rows], np.ones(len(rows)), first_row=int(rows[0])))
    return blocks


def penalty_of(problem: Problem, statistics: Statistics, outputs: int) -> Penalty:
    scale = statistics.deviation() if problem.standardization else np.ones(len(statistics.mean))
    divisor = statistics.label_deviation() if "mllib_linreg" in problem.id else 1.0
    l1 = problem.reg * problem.alpha * scale
    return ElasticNet(np.tile(l1, outputs), np.tile(problem.reg * (1.0 - problem.alpha) * scale**2 / divisor, outputs))


def settings_of(problem: Problem, statistics: Statistics, solver: str) -> FitSettings:
    is_multinomial = problem.loss == "multinomial"
    loss = MultinomialLoss(int(statistics.label_high) + 1) if is_multinomial else LOSSES[problem.loss]()
    return FitSettings(
        loss,
        lambda known, outputs: penalty_of(problem, known, outputs),
        problem.intercept,
        problem.standardization,
        SolverSettings(solver),
        Stopping(100, 1e-6),
    )


def on_cluster(spark: SparkSession, blocks: list[Block]) -> tuple[Engine, RowSample | None]:
    """The same rows, packed by Spark."""
    frames = [spark.createDataFrame(_table(block)) for block in blocks]
    engine = ClusterEngine.pack(reduce(DataFrame.union, frames), Packing(execution="cluster"))
    sample = engine.sample()
    return engine, RowSample(LocalRows(sample)) if sample else None


def in_process(blocks: list[Block]) -> tuple[Engine, RowSample | None]:
    """The rows as they are, with a sample of the size that ingest takes."""
    size = sum(block.label.nbytes + block.features.stored * 12 for block in blocks)
    return DriverEngine(blocks), None if size <= SAMPLED_BYTES else sample_from(blocks, SAMPLE_BYTES / size)


def _table(block: Block) -> pa.Table:
    """A block's rows as ingest reads them."""
    features = block.features
    width, rows = features.num_features, features.rows
    if isinstance(features, CsrFeatures):
        values, indices, starts = features.values, features.indices, features.indptr
        indices, index_starts = np.insert(indices, starts[1:], width), starts + np.arange(rows + 1)
    else:
        values, indices = features.dense().reshape(-1), np.zeros(0, dtype=np.int32)
        starts, index_starts = np.arange(rows + 1) * width, np.zeros(rows + 1)
    lists = [(values, starts), (indices, index_starts)]
    columns = [pa.ListArray.from_arrays(pa.array(at, type=pa.int32()), pa.array(flat)) for flat, at in lists]
    return pa.table({"features": columns[0], "indices": columns[1], "label": pa.array(block.label)})


def row_of(problem: Problem, solver: str, data: TrainingSet) -> str:
    began = time.perf_counter()
    try:
        plan = plan_of(settings_of(problem, data.statistics, solver), data)
    except IncompatibleError as error:
        return f"| {problem.id} | {solver} | - | - | - | refused: {str(error).split(': ')[1]} |"
    outcome = succeeded(train(data.rows, [plan])[0])
    seconds = time.perf_counter() - began
    gap = (outcome.objectives[-1] - problem.objective) / abs(problem.objective)
    chosen, rounds = outcome.result.choice.name, len(outcome.seconds)
    name = solver if solver == chosen else f"{solver}: {chosen}"
    return f"| {problem.id} | {name} | {rounds} | {seconds:.2f} | {gap:.1e} | {outcome.ending.status.value} |"


def rows(solvers: list[str], only: list[str] | None, skip: list[str], spark: SparkSession | None) -> Iterator[str]:
    known = [p for p in all_problems() if p.loss == "multinomial" or p.loss in LOSSES]
    wanted = [p for p in known if p.dataset not in skip and (only is None or p.dataset in only)]
    present = [p for p in wanted if any(SHARED.glob(f"{p.dataset}.*.?z"))]
    for _, group in groupby(present, key=lambda p: (p.dataset, p.loss)):
        problems = list(group)
        blocks = blocks_of(problems[0])
        engine, sample = in_process(blocks) if spark is None else on_cluster(spark, blocks)
        data = training_set(blocks, sample=sample, rows=engine)
        for problem in problems:
            for solver in solvers:
                yield row_of(problem, solver, data)
        engine.release()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solvers", nargs="+", default=["auto", "l-bfgs"])
    parser.add_argument("--only", nargs="*", help="data sets to take; default: all")
    parser.add_argument("--skip", nargs="*", default=[], help="data sets to leave out")
    parser.add_argument("--cluster", action="store_true", help="rounds as Spark jobs")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = ["| problem | solver | rounds | seconds | relative gap | status |", "|---|---|---|---|---|---|"]
    print("\n".join(lines))
    spark = local_session("local[2]") if options.cluster else None
    for line in rows(options.solvers, options.only, options.skip, spark):
        print(line, flush=True)
        lines.append(line)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text("# Reference problems\n\n" + __doc__ + "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
