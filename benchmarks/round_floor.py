"""A round over memory-mapped dense blocks against its floor: ``python -m benchmarks.round_floor``.

The floor is an empty Spark job over the same tasks plus the round's two matrix products per row chunk, ``X w`` and
``d X``, in plain NumPy over the same mapped files, one process a core. What the ratio leaves to the round is the loss,
the sums and whatever the library adds. The three alternate; medians are quoted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from sparkgd.engine.base import Packing

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as Spark's Python workers; read when NumPy is imported

import numpy as np
from pyspark.sql import functions as F

from benchmarks.session import local_session
from sparkgd.data.blockfile import BlockHandle, map_block
from sparkgd.engine.cluster import ClusterEngine
from sparkgd.engine.ingest import ResidentPacked, ingest
from sparkgd.kernels.layout import CoefLayout
from sparkgd.losses import LogisticLoss
from sparkgd.questions.gradient import GradientKernel

CHUNK_BYTES = 1 << 20


def products(handle: BlockHandle, point: np.ndarray) -> float:
    """Both products over a block, chunk by chunk. The mapping stays, as a worker's does."""
    if handle.path not in _mapped:
        _mapped[handle.path] = map_block(handle).features.values
    matrix = _mapped[handle.path]
    rows = CHUNK_BYTES // (8 * matrix.shape[1])
    total = np.zeros(matrix.shape[1])
    for start in range(0, len(matrix), rows):
        chunk = matrix[start : start + rows]
        total += (chunk @ point) @ chunk
    return float(total.sum())


_mapped: dict[str, np.ndarray] = {}


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(packed: ResidentPacked, cores: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of a round, an empty job and the products, alternating, after two runs that do not count."""
    width = next(iter(packed.partitions.values())).handle.width
    point = np.random.default_rng(0).normal(size=width + 1) / np.sqrt(width)
    engine, kernel = ClusterEngine(packed), GradientKernel(LogisticLoss(), CoefLayout(width), point[None, :])
    handles = [part.handle for part in packed.partitions.values()]
    runs: dict[str, list[float]] = {"round": [], "empty job": [], "products": []}
    with ProcessPoolExecutor(cores) as pool:
        actions: dict[str, Callable[[], object]] = {
            "round": lambda: engine.round([kernel]),
            # A worker that leaves rows unread is not used again; the next job would wait for a new one's imports.
            "empty job": lambda: packed.handles.cached.through(lambda pairs: iter([(0, len(list(pairs)))])).collect(),
            "products": lambda: list(pool.map(products, handles, [point[1:]] * len(handles))),
        }
        for run in range(repeats + 2):
            for name, action in actions.items():
                taken = seconds(action)
                if run >= 2:
                    runs[name].append(taken)
    return runs


def main() -> None:
    """Print medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    spark = local_session(f"local[{options.cores}]")
    features = F.array(*[F.randn(j) for j in range(options.columns)])
    label = (F.rand(7) > 0.5).cast("double")
    df = spark.range(options.rows, numPartitions=options.cores).select(features.alias("features"), label.alias("label"))
    packed = ingest(df, Packing(), -1)
    try:
        runs = measure(packed, options.cores, options.repeats)
    finally:
        packed.release()
        spark.stop()
    median = {name: statistics.median(values) for name, values in runs.items()}
    best = {name: min(values) for name, values in runs.items()}
    print(json.dumps({"medians": median, "best": best}))
    for kind, times in (("medians", median), ("best", best)):
        floor = times["empty job"] + times["products"]
        print(f"{kind}: round {times['round']:.3f} s, floor {floor:.3f} s, ratio {times['round'] / floor:.2f}")


if __name__ == "__main__":
    main()
