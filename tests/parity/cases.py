"""The grid: which estimators are fitted to what, with which params."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pyspark.ml.linalg import Matrices, Vector, Vectors
from pyspark.sql import DataFrame, SparkSession

from tests.support import datasets

ROWS, COLUMNS = 90, 4


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    estimator : str
        Class name.
    label : str
        Column of labels.
    storage : str
        Column of features: ``dense`` or ``sparse`` vectors, or ``varying``: without the constant column.
    params : mapping of str to object
    data : str
        ``generated``, or the name of a real data set.
    """

    estimator: str
    label: str
    storage: str
    params: Mapping[str, Any] = field(default_factory=dict)
    data: str = "generated"

    def __str__(self) -> str:
        values = "-".join(f"{name}={_short(value)}" for name, value in self.params.items())
        return f"{self.estimator}-{self.data}-{self.label}-{self.storage}-{values}"


def _short(value: object) -> str:
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float | int) else "given"


Columns: TypeAlias = dict[str, npt.NDArray[np.float64]]
"""The columns of a data set: its features, labels, weights and offsets."""


def generated() -> Columns:
    """Few rows of badly scaled columns, one of them constant, with labels of every kind."""
    rng = np.random.default_rng(5)
    features = rng.normal(size=(ROWS, COLUMNS)) * (rng.random((ROWS, COLUMNS)) < 0.7) * [1.0, 30.0, 0.05, 1.0]
    features[:, 3] = 2.5
    signal = features @ [1.0, -0.03, 10.0, 0.0]
    mean = np.exp(0.3 + 0.3 * signal)
    labels = {
        "two": (signal + rng.logistic(size=ROWS) > 0).astype(float),
        "three": np.argmax(np.outer(signal, [1.0, 0.0, -0.7]) + rng.gumbel(size=(ROWS, 3)), axis=1).astype(float),
        "real": 3.0 + 2.0 * signal + rng.standard_t(3, size=ROWS),
        "count": rng.poisson(mean).astype(float),
        "positive": mean * rng.gamma(5.0, 0.2, size=ROWS),
        "weight": rng.integers(0, 4, size=ROWS).astype(float),
        "offset": 0.2 * rng.normal(size=ROWS),
    }
    return {"dense": features, "sparse": features, "varying": features[:, :3], **labels}


def columns_of(data: str) -> Columns:
    """The columns of a data set; a test of a set that is not there is skipped."""
    if data == "generated":
        return generated()
    features, label = datasets.load_or_bundled(data)
    return {"dense": features, "sparse": features, "label": label}


def frame_of(spark: SparkSession, columns: Columns) -> DataFrame:
    """The same as a DataFrame of one partition."""
    storage = {name: _sparse if name == "sparse" else Vectors.dense for name, each in columns.items() if each.ndim > 1}
    made = [map(storage.get(name, float), values.tolist()) for name, values in columns.items()]
    return spark.createDataFrame(list(zip(*made, strict=True)), list(columns)).coalesce(1)


def _sparse(row: list[float]) -> Vector:
    return Vectors.sparse(len(row), [(j, value) for j, value in enumerate(row) if value])


def crossed(**choices: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """All combinations; an empty string or None leaves a param out."""
    for values in product(*choices.values()):
        yield {name: value for name, value in zip(choices, values, strict=True) if value not in ("", None)}


PENALTIES = ((0.0, 0.0), (0.05, 0.0), (0.05, 1.0), (0.05, 0.4))


def penalised(**choices: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """All combinations with every kind of elastic net."""
    for strength, mix in PENALTIES:
        for params in crossed(**choices):
            yield {"regParam": strength, "elasticNetParam": mix, **params}


def logistic() -> Iterator[Case]:
    """Binomial and multinomial, by penalty, standardization, intercept, weights and storage; bounds."""
    flags = {"standardization": (True, False), "fitIntercept": (True, False), "weightCol": ("", "weight")}
    for label in ("two", "three"):
        for number, params in enumerate(penalised(**flags)):
            yield Case("LogisticRegression", label, ("dense", "sparse")[number % 2], params)
            if label == "two":
                yield Case(
                    "LogisticRegression", label, ("sparse", "dense")[number % 2], {**params, "family": "multinomial"}
                )
    for strength, with_intercept, sides in product((0.0, 0.05), (True, False), ("lower", "upper", "both")):
        for label, classes in (("two", 1), ("three", 3)):
            bounds: dict[str, Any] = {}
            if sides != "upper":
                bounds["lowerBoundsOnCoefficients"] = Matrices.dense(classes, COLUMNS, [-0.02] * classes * COLUMNS)
            if sides != "lower":
                bounds["upperBoundsOnCoefficients"] = Matrices.dense(classes, COLUMNS, [0.5] * classes * COLUMNS)
            if with_intercept and sides == "both":
                bounds["upperBoundsOnIntercepts"] = Vectors.dense([0.1] * classes)
            yield Case(
                "LogisticRegression", label, "dense", {"regParam": strength, "fitIntercept": with_intercept, **bounds}
            )


def linear() -> Iterator[Case]:
    """Least squares by both of MLlib's solvers, and huber."""
    flags = {"standardization": (True, False), "fitIntercept": (True, False), "weightCol": ("", "weight")}
    for number, params in enumerate(penalised(solver=("normal", "l-bfgs"), **flags)):
        yield Case("LinearRegression", "real", ("dense", "sparse")[number % 2], params)
    for number, params in enumerate(crossed(loss=("huber",), regParam=(0.0, 0.05), epsilon=(1.35, 2.0), **flags)):
        yield Case("LinearRegression", "real", ("dense", "sparse")[number % 2], params)


def support_vectors() -> Iterator[Case]:
    """Hinge, whose optimum MLlib does not reach."""
    flags = {"standardization": (True, False), "fitIntercept": (True, False), "weightCol": ("", "weight")}
    for number, params in enumerate(crossed(regParam=(0.01, 0.1), **flags)):
        yield Case("LinearSVC", "two", ("dense", "sparse")[number % 2], params)


GLM = {
    ("gaussian", "real"): ("identity",),
    ("gaussian", "positive"): ("log", "inverse"),
    ("binomial", "two"): ("logit", "probit", "cloglog"),
    ("poisson", "count"): ("log", "sqrt"),
    ("gamma", "positive"): ("inverse", "log"),
}


def generalized() -> Iterator[Case]:
    """Families and links, by penalty, intercept, weights and offset."""
    for (family, label), links in GLM.items():
        flags = {"regParam": (0.0, 0.05), "fitIntercept": (True, False), "weightCol": ("", "weight")}
        for link, params in product(links, crossed(**flags)):
            if link in ("inverse", "sqrt") and not params["fitIntercept"]:
                continue  # a row of zeros has no mean then, which sparkgd refuses
            # Without an intercept rounding decides whether MLlib gives a constant column a coefficient.
            storage = "dense" if params["fitIntercept"] else "varying"
            yield Case("GeneralizedLinearRegression", label, storage, {"family": family, "link": link, **params})
    for family, label in (("poisson", "count"), ("binomial", "two"), ("gaussian", "real")):
        for params in crossed(regParam=(0.0, 0.05), weightCol=("", "weight")):
            yield Case(
                "GeneralizedLinearRegression", label, "sparse", {"family": family, "offsetCol": "offset", **params}
            )
    for power, link in product((1.2, 1.5, 1.8), (0.0, None)):
        if power == 1.8 and link is None:
            continue  # MLlib's weights overflow: "Sum of weights cannot be zero"
        params = {"family": "tweedie", "variancePower": power} | ({} if link is None else {"linkPower": link})
        yield Case("GeneralizedLinearRegression", "count", "dense", params)


def real() -> Iterator[Case]:
    """Real data, most of which MLlib scales and centres well and some of which take it hundreds of iterations."""
    for strength, mix in PENALTIES:
        penalty = {"regParam": strength / 10, "elasticNetParam": mix}
        for data in ("breast_cancer", "wine", "diabetes"):
            name = "LinearRegression" if data == "diabetes" else "LogisticRegression"
            yield Case(name, "label", "dense", penalty, data)
        yield Case("LinearRegression", "label", "sparse", {**penalty, "solver": "l-bfgs"}, "housing")
        if strength:
            yield Case("LogisticRegression", "label", "sparse", {**penalty, "standardization": False}, "digits")
            yield Case("LogisticRegression", "label", "sparse", penalty, "spark_libsvm")
    for data in ("breast_cancer", "spark_libsvm"):
        yield Case("LinearSVC", "label", "sparse", {"regParam": 0.01}, data)
    for data in ("abalone", "diabetes"):
        yield Case("LinearRegression", "label", "dense", {"loss": "huber", "regParam": 0.01}, data)
    for family, data in (("gaussian", "abalone"), ("poisson", "warpbreaks"), ("gamma", "housing")):
        for strength in (0.0, 0.01):
            params = {"family": family, "link": "identity" if family == "gaussian" else "log", "regParam": strength}
            yield Case("GeneralizedLinearRegression", "label", "dense", params, data)
    for strength in (0.0, 0.001):
        bounds = {"lowerBoundsOnCoefficients": Matrices.dense(3, 4, [-0.3] * 12)}
        yield Case("LogisticRegression", "label", "dense", {"regParam": strength, **bounds}, "iris")


CASES = [*logistic(), *linear(), *support_vectors(), *generalized(), *real()]
