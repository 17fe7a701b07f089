"""The problems of the benchmark: a cached DataFrame of vectors, the same rows as arrays, and what is minimised."""

from __future__ import annotations

import lzma
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy import sparse

SHARED = Path(os.environ.get("SPARKGD_SHARED", Path(__file__).resolve().parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Case:
    """One problem: ``mean loss + reg * [alpha * |b|_1 + (1 - alpha)/2 * |b|^2]`` with an unpenalised intercept.

    Attributes
    ----------
    name, loss : str
        ``loss`` is logistic, hinge, multinomial or squared.
    reg, alpha : float
    load : callable
        Makes the DataFrame ``label, features``; it is cached by the runner.
    reference : str or None
        Id in ``reference_optima.jsonl``, where the optimum is known.
    target : float
        The ratio to MLlib that the project promises.
    """

    name: str
    loss: str
    reg: float
    load: Callable[[SparkSession], DataFrame]
    alpha: float = 0.0
    reference: str | None = None
    target: float = 1.0


def synthetic(rows: int, columns: int, label: str, spread: float = 0.0) -> Callable[[SparkSession], DataFrame]:
    """Gaussian columns, mixed by neighbours; ``spread`` > 0 gives columns scales from 1 to 10^spread."""

    def load(spark: SparkSession) -> DataFrame:
        raw = spark.range(rows, numPartitions=4).select("id", *[F.randn(j).alias(f"z{j}") for j in range(columns)])
        scales = 10.0 ** (spread * np.arange(columns) / columns)
        mixed = [
            ((F.col(f"z{j}") + 0.9 * (spread > 0) * F.col(f"z{j - 1}")) * float(scales[j])).alias(f"x{j}")
            for j in range(columns)
        ]
        mixed[0] = F.col("z0").alias("x0")
        coef = np.random.default_rng(5).standard_normal(columns) / np.sqrt(columns) / scales
        frame = raw.select("id", *mixed)
        margin = sum((float(coef[j]) * F.col(f"x{j}") for j in range(columns)), F.lit(0.3))
        noise = F.randn(1001) if label == "number" else -F.log(1.0 / F.rand(1002) - 1.0)
        target = margin + noise if label == "number" else (margin + noise > 0).cast("double")
        frame = frame.withColumn("label", target)
        assembler = VectorAssembler(inputCols=[f"x{j}" for j in range(columns)], outputCol="features")
        return assembler.transform(frame).select("label", "features")

    return load


def shared(
    name: str, label: Callable[[Any], Any] | None = None, scale: float = 1.0
) -> Callable[[SparkSession], DataFrame]:
    """A data set of ``shared/data``; ``label`` maps the label column."""

    def load(spark: SparkSession) -> DataFrame:
        frame = spark.read.format("libsvm").load(str(_plain_text(name)))
        if label is not None:
            frame = frame.withColumn("label", label(F.col("label")).cast("double"))
        if scale != 1.0:
            from pyspark.ml.feature import ElementwiseProduct
            from pyspark.ml.linalg import Vectors

            size = frame.first()["features"].size  # type: ignore[index]
            product = ElementwiseProduct(
                scalingVec=Vectors.dense(np.full(size, scale)), inputCol="features", outputCol="scaled"
            )
            frame = product.transform(frame).select("label", F.col("scaled").alias("features"))
        return frame.repartition(4)

    return load


def _plain_text(name: str) -> Path:
    """The data set as text that Spark can read: .gz as it is, .xz unpacked once to a temporary folder."""
    packed = next((path for path in SHARED.glob(f"{name}.*") if path.suffix in (".gz", ".xz")), None)
    if packed is None:
        raise FileNotFoundError(f"no data set {name!r} in {SHARED}; set SPARKGD_SHARED to the folder that has it")
    if packed.suffix == ".gz":
        return packed
    target = Path(tempfile.gettempdir()) / "sparkgd-benchmark-data" / f"{name}.libsvm"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        with lzma.open(packed) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink)
        partial.rename(target)
    return target


def arrays(frame: DataFrame) -> tuple[Any, np.ndarray]:
    """The rows as a NumPy array or CSR matrix, and the labels."""
    from pyspark.ml.functions import vector_to_array

    first = frame.first()
    size = first["features"].size  # type: ignore[index]
    parts = F.unwrap_udt("features")
    table = frame.select(
        "label",
        parts.getField("values").alias("values"),
        F.coalesce(parts.getField("indices"), F.array().cast("array<int>")).alias("indices"),
    ).toArrow()
    label = table.column("label").to_numpy()
    values = table.column("values").combine_chunks()
    indices = table.column("indices").combine_chunks()
    counts = np.diff(values.offsets.to_numpy())
    if (counts == size).all():
        return values.flatten().to_numpy().reshape(-1, size), label
    if len(indices.flatten()) != len(values.flatten()):
        dense = np.stack(frame.select(vector_to_array("features")).toPandas().iloc[:, 0].to_numpy())
        return sparse.csr_matrix(dense), label
    matrix = sparse.csr_matrix((values.flatten().to_numpy(), indices.flatten().to_numpy(), np.r_[0, counts.cumsum()]))
    matrix.resize(len(label), size)
    return matrix, label


def late(column: Any) -> Any:
    """The binary target of hflights: more than 15 minutes late."""
    return column > 15


CASES = [
    Case("dense 500k x 100", "logistic", 1e-4, synthetic(500_000, 100, "class"), target=1.5),
    Case("ill-conditioned 200k x 200", "logistic", 1e-4, synthetic(200_000, 200, "class", spread=3.0), target=4.0),
    Case("kdd99 L2", "logistic", 1e-4, shared("kdd99"), reference="kdd99.logistic_l2_0.0001", target=6.0),
    Case("kdd99 L1", "logistic", 1e-3, shared("kdd99"), 1.0, "kdd99.logistic_en_0.001_a1", 4.0),
    Case("kdd99 hinge", "hinge", 1e-4, shared("kdd99"), reference="kdd99.hinge_l2_0.0001", target=3.0),
    Case("imdb", "logistic", 1e-4, shared("imdb"), reference="imdb.logistic_l2_0.0001", target=2.0),
    Case("hflights", "logistic", 1e-4, shared("hflights", late), reference="hflights.logistic_l2_0.0001", target=2.0),
    Case(
        "mnist", "multinomial", 1e-3, shared("mnist", scale=1 / 255), reference="mnist.multinomial_l2_0.001", target=2.0
    ),
    Case("a9a", "logistic", 1e-4, shared("a9a"), reference="a9a.logistic_l2_0.0001", target=8.0),
    Case(
        "breast_cancer",
        "logistic",
        1e-4,
        shared("breast_cancer"),
        reference="breast_cancer.logistic_l2_0.0001",
        target=8.0,
    ),
    Case("linear regression 500k x 100", "squared", 1e-4, synthetic(500_000, 100, "number"), target=2.0),
]

SMOKE = [
    Case("dense 60k x 50", "logistic", 1e-4, synthetic(60_000, 50, "class"), target=0.8),
    Case("ill-conditioned 40k x 60", "logistic", 1e-4, synthetic(40_000, 60, "class", spread=3.0), target=1.5),
]
"""Small, without shared data: what CI runs."""
